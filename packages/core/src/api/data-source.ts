import * as z from "zod";
import { nonEmpty } from "./fields.ts";
import type { AdmissionIssue } from "./kind.ts";

/** Expected digests of a file, in hexadecimal. */
export interface Checksum {
  readonly md5?: string;
  readonly sha1?: string;
  readonly sha256?: string;
  readonly sha512?: string;
  /** GOST R 34.11-2012, 256 bits. */
  readonly streebog256?: string;
  /** GOST R 34.11-2012, 512 bits. */
  readonly streebog512?: string;
}

/** A file on an HTTP server. */
export interface HttpDataSource {
  readonly url: string;
  readonly checksum?: Checksum;
  /** Certificate authorities in PEM, base64-encoded, trusted besides those of the system. */
  readonly caBundle?: string;
}

/** An image in a container registry, with a disk image in its directory `/disk`. */
export interface ContainerImageDataSource {
  /** Such as `docker.io/library/ubuntu:22.04`. */
  readonly image: string;
  /** A Secret of type `kubernetes.io/dockerconfigjson`. */
  readonly imagePullSecret?: {
    readonly name?: string;
    /** ClusterVirtualImage only. */
    readonly namespace?: string;
  };
  /** Certificate authorities in PEM, base64-encoded, trusted besides those of the system. */
  readonly caBundle?: string;
}

/** Another resource whose content is taken. */
export interface ObjectRefDataSource {
  /** A VirtualDisk makes images only. */
  readonly kind: "VirtualImage" | "ClusterVirtualImage" | "VirtualDisk" | "VirtualDiskSnapshot";
  readonly name: string;
  /** ClusterVirtualImage only: where the resource is, of the kinds that have a namespace. */
  readonly namespace?: string;
}

/** Where an image or a disk takes its content from. */
export interface DataSource {
  readonly type: "HTTP" | "ContainerImage" | "ObjectRef" | "Upload";
  readonly http?: HttpDataSource;
  readonly containerImage?: ContainerImageDataSource;
  readonly objectRef?: ObjectRefDataSource;
  /** A user sends the content to an address in the status. */
  readonly upload?: { readonly checksum?: Checksum };
}

/** The characters that the DVP custom resource definitions allow, in a form that is matched in one pass. */
const URL_PATTERN = /^https?:\/\/[!$-_a-z]+$/;

/** Source: the DVP custom resource definitions, `spec.dataSource.containerImage.image`. */
const IMAGE_PATTERN =
  /^(?:(?:(?:(?:(?:localhost|[\w-]+(?:\.[\w-]+)+)(?::\d+)?)|[\w]+:\d+)\/)?(?:[a-z0-9_.-]+(?:\/[a-z0-9_.-]+)*))(?::(?:[\w][\w.-]{0,127}))?(?:@(?:[A-Za-z][A-Za-z0-9]*(?:[-+._][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}))?$/;

function hexDigits(count: number): z.ZodString {
  return z
    .string()
    .regex(new RegExp(`^[0-9a-fA-F]{${count}}$`), `must be ${count} hexadecimal digits`);
}

const checksum: z.ZodType<Checksum, Checksum> = z.strictObject({
  md5: hexDigits(32).exactOptional(),
  sha1: hexDigits(40).exactOptional(),
  sha256: hexDigits(64).exactOptional(),
  sha512: hexDigits(128).exactOptional(),
  streebog256: hexDigits(64).exactOptional(),
  streebog512: hexDigits(128).exactOptional(),
});

/** {@link DataSource} as users write it, of a kind that takes content from some kinds of resources. */
export function dataSourceSchema(options: {
  readonly from: readonly ObjectRefDataSource["kind"][];
  /** True when the kind belongs to no namespace, so that what it names may need one. */
  readonly namespaces: boolean;
}): z.ZodType<DataSource, DataSource> {
  const namespace = (
    options.namespaces
      ? z.string()
      : z.never({ error: "must be left out: only what is in the same namespace can be named" })
  ).exactOptional();
  return z.strictObject({
    type: z.enum(["HTTP", "ContainerImage", "ObjectRef", "Upload"]),
    http: z
      .strictObject({
        url: z.string().regex(URL_PATTERN, "must be an http:// or https:// URL"),
        checksum: checksum.exactOptional(),
        caBundle: z.base64().exactOptional(),
      })
      .exactOptional(),
    containerImage: z
      .strictObject({
        image: z
          .string()
          .regex(
            IMAGE_PATTERN,
            'must name a container image, such as "docker.io/library/name:tag"',
          ),
        imagePullSecret: z
          .strictObject({ namespace, name: z.string().exactOptional() })
          .exactOptional(),
        caBundle: z.base64().exactOptional(),
      })
      .exactOptional(),
    objectRef: z
      .strictObject({ namespace, kind: z.enum(options.from), name: nonEmpty })
      .exactOptional(),
    upload: z.strictObject({ checksum: checksum.exactOptional() }).exactOptional(),
  });
}

/** What ties `type` to its member. Source: the DVP custom resource definitions, rules on `spec.dataSource`. */
const RULES: Readonly<Record<DataSource["type"], readonly [keyof DataSource, string]>> = {
  HTTP: ["http", "HTTP requires http and cannot have ContainerImage, ObjectRef or Upload."],
  ContainerImage: [
    "containerImage",
    "ContainerImage requires containerImage and cannot have HTTP, ObjectRef or Upload.",
  ],
  ObjectRef: [
    "objectRef",
    "ObjectRef requires objectRef and cannot have HTTP, ContainerImage or Upload.",
  ],
  Upload: ["upload", "Upload cannot have HTTP, ContainerImage or ObjectRef."],
};

const MEMBERS = ["http", "containerImage", "objectRef", "upload"] as const;

/** The broken rules of a data source. */
export function admitDataSource(
  source: DataSource | undefined,
  field = "spec.dataSource",
): AdmissionIssue[] {
  if (source === undefined) return [];
  const [wanted, message] = RULES[source.type];
  const others = MEMBERS.some((member) => member !== wanted && source[member] !== undefined);
  const missing = source.type !== "Upload" && source[wanted] === undefined;
  return others || missing ? [{ field, message }] : [];
}
