import * as z from "zod";
import type { KindDefinition } from "./kind.ts";
import type { Resource } from "./meta.ts";

/** Small confidential data. Source: Kubernetes `core/v1` `Secret`. */
export interface Secret extends Resource {
  readonly kind: "Secret";
  readonly type: string;
  /** Values in base64. */
  readonly data: Readonly<Record<string, string>>;
}

/** What a user writes of a {@link Secret}. */
export interface SecretInput {
  /** Default `Opaque`. */
  readonly type?: string | undefined;
  /** Values in base64. */
  readonly data?: Readonly<Record<string, string>> | undefined;
  /** Values as they are; they win over those in `data`. */
  readonly stringData?: Readonly<Record<string, string>>;
}

const secretKey = z
  .string()
  .regex(/^[-._a-zA-Z0-9]+$/, "must consist of letters, digits, '-', '_' or '.'");

/** The kind {@link Secret}. Values given in `stringData` are kept in `data`. */
export const SECRET: KindDefinition<Secret, SecretInput> = {
  apiVersion: "v1",
  kind: "Secret",
  plural: "secrets",
  shortNames: [],
  namespaced: true,
  schema: z
    .strictObject({
      type: z.string().default("Opaque"),
      data: z.record(secretKey, z.base64()).default({}),
      stringData: z.record(secretKey, z.string()).exactOptional(),
    })
    .transform(({ type, data, stringData = {} }) => {
      const encoded = Object.entries(stringData).map(([key, text]) => [
        key,
        Buffer.from(text).toString("base64"),
      ]);
      return { type, data: { ...data, ...Object.fromEntries(encoded) } };
    }),
  columns: [
    { name: "Type", value: (secret) => secret.type },
    { name: "Data", value: (secret) => Object.keys(secret.data).length.toString() },
  ],
};
