import * as z from "zod";
import { nonEmpty } from "./fields.ts";
import type { AdmissionIssue } from "./kind.ts";

/** Expected digests of a file, in hexadecimal. */
export interface Checksum {
  readonly md5?: string;
  readonly sha1?: string;
  readonly sha256?: string;
  readonly sha512?: string;
}

/** A file on an HTTP server. */
export interface HttpDataSource {
  readonly url: string;
  readonly checksum?: Checksum;
  /** Certificate authorities in PEM, base64-encoded, trusted besides those of the system. */
  readonly caBundle?: string;
}

/** Another resource whose content is taken. */
export interface ObjectRefDataSource {
  readonly kind: "VirtualImage" | "ClusterVirtualImage";
  readonly name: string;
}

/** Where an image or a disk takes its content from. */
export interface DataSource {
  readonly type: "HTTP" | "ObjectRef";
  readonly http?: HttpDataSource;
  readonly objectRef?: ObjectRefDataSource;
}

const URL_PATTERN =
  /^http[s]?:\/\/(?:[a-zA-Z]|[0-9]|[$-_@.&+]|[!*(),]|(?:%[0-9a-fA-F][0-9a-fA-F]))+$/;

function hexDigits(count: number): z.ZodString {
  return z
    .string()
    .regex(new RegExp(`^[0-9a-fA-F]{${count}}$`), `must be ${count} hexadecimal digits`);
}

const httpSchema: z.ZodType<HttpDataSource, HttpDataSource> = z.strictObject({
  url: z.string().regex(URL_PATTERN, "must be an http:// or https:// URL"),
  checksum: z
    .strictObject({
      md5: hexDigits(32).exactOptional(),
      sha1: hexDigits(40).exactOptional(),
      sha256: hexDigits(64).exactOptional(),
      sha512: hexDigits(128).exactOptional(),
    })
    .exactOptional(),
  caBundle: z.base64().exactOptional(),
});

/** {@link DataSource} as users write it. */
export const dataSourceSchema: z.ZodType<DataSource, DataSource> = z.strictObject({
  type: z.enum(["HTTP", "ObjectRef"]),
  http: httpSchema.exactOptional(),
  objectRef: z
    .strictObject({
      kind: z.enum(["VirtualImage", "ClusterVirtualImage"]),
      name: nonEmpty,
    })
    .exactOptional(),
});

/** The rules that tie `type` to its member. Source: the DVP custom resource definitions, rules on `spec.dataSource`. */
export function admitDataSource(source: DataSource | undefined): AdmissionIssue[] {
  if (source === undefined) return [];
  const field = "spec.dataSource";
  if (source.type === "HTTP" && (!source.http || source.objectRef)) {
    return [
      { field, message: "HTTP requires http and cannot have ContainerImage, ObjectRef or Upload." },
    ];
  }
  if (source.type === "ObjectRef" && (!source.objectRef || source.http)) {
    return [
      {
        field,
        message: "ObjectRef requires objectRef and cannot have HTTP, ContainerImage or Upload.",
      },
    ];
  }
  return [];
}
