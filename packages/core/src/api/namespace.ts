import * as z from "zod";
import { phaseColumn } from "./columns.ts";
import type { Condition } from "./conditions.ts";
import type { KindDefinition } from "./kind.ts";
import { DEFAULT_NAMESPACE, GROUP, type Resource } from "./meta.ts";

/** Keeps the resources of one project together. Source: Kubernetes `core/v1` `Namespace`. */
export interface Namespace extends Resource {
  readonly kind: "Namespace";
  readonly spec: Readonly<Record<string, never>>;
  readonly status?: NamespaceStatus;
}

/** What a user writes of a {@link Namespace}. */
export interface NamespaceInput {
  readonly spec?: Readonly<Record<string, never>> | undefined;
}

/** What is known about a {@link Namespace}. */
export interface NamespaceStatus {
  readonly phase: "Active" | "Terminating";
  /** What holds up a deletion. */
  readonly conditions: readonly Condition[];
}

/** Keeps a namespace until everything in it is gone. */
export const NAMESPACE_FINALIZER: string = `${GROUP}/namespace-cleanup`;

/** The kind {@link Namespace}. Namespaces come into being with the first resource that names them. */
export const NAMESPACE: KindDefinition<Namespace, NamespaceInput> = {
  apiVersion: "v1",
  kind: "Namespace",
  plural: "namespaces",
  shortNames: ["ns"],
  namespaced: false,
  maxNameLength: 63,
  schema: z.strictObject({ spec: z.strictObject({}).default({}) }),
  admitDeletion: ({ metadata: { name } }) =>
    name === DEFAULT_NAMESPACE ? "the default namespace cannot be deleted" : undefined,
  columns: [phaseColumn("Status")],
};
