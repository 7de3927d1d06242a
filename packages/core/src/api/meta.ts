import * as z from "zod";

/** Who a resource belongs to: it is deleted when its owner is gone. */
export interface OwnerReference {
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
  readonly uid: string;
}

/** Identity and bookkeeping of a stored resource. Source: Kubernetes `metav1.ObjectMeta`. */
export interface ObjectMeta {
  readonly name: string;
  /** Absent for kinds that belong to no namespace. */
  readonly namespace?: string;
  readonly uid: string;
  /** Position in the store's total order at the last change; opaque to users. */
  readonly resourceVersion: string;
  /** Raised by every change of what a user wants, never by a change of status. */
  readonly generation: number;
  /** RFC 3339. */
  readonly creationTimestamp: string;
  /** RFC 3339; set once deletion was asked for. The resource goes when its finalizers are gone. */
  readonly deletionTimestamp?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly finalizers?: readonly string[];
  readonly ownerReferences?: readonly OwnerReference[];
}

/** What a user writes as metadata: the rest is the store's to fill in. */
export type ObjectMetaInput = Partial<ObjectMeta> & {
  /** Instead of `name`: a prefix that gets five random letters. */
  readonly generateName?: string;
};

/** Whatever the store keeps. Each kind adds its own fields. */
export interface Resource {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: ObjectMeta;
  readonly spec?: unknown;
  readonly status?: unknown;
}

/** `namespace/name`, or `name` alone for kinds that belong to no namespace. */
export type ResourceKey = string;

/** The key of a resource within its kind. */
export function keyOf(metadata: {
  readonly name: string;
  readonly namespace?: string;
}): ResourceKey {
  return metadata.namespace === undefined
    ? metadata.name
    : `${metadata.namespace}/${metadata.name}`;
}

/** `VirtualMachine "default/linux-vm"`, for messages. */
export function describeResource(resource: {
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string };
}): string {
  return `${resource.kind} ${JSON.stringify(keyOf(resource.metadata))}`;
}

/** The namespace of resources that name none. */
export const DEFAULT_NAMESPACE = "default";

/** The API group of the DVP kinds. */
export const GROUP = "virtualization.deckhouse.io";

/** `apiVersion` of the DVP kinds. */
export const V1ALPHA2: string = `${GROUP}/v1alpha2`;

const LABEL_KEY = /^([a-z0-9]([-a-z0-9.]*[a-z0-9])?\/)?[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$/;
const LABEL_VALUE = /^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$/;
const DNS_SUBDOMAIN = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;
const DNS_LABEL = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/;

const labelKey = z
  .string()
  .max(317)
  .regex(
    LABEL_KEY,
    "must be letters, digits, '-', '_' or '.', with an optional DNS prefix and '/'",
  );

/** A name as Kubernetes allows it. Source: RFC 1123 as in Kubernetes "Object Names and IDs". */
const resourceName: z.ZodString = z
  .string()
  .min(1)
  .max(253)
  .regex(DNS_SUBDOMAIN, "must consist of lower-case letters, digits, '-' and '.'");

/** Labels as users write them. */
export const labelsSchema: z.ZodType<
  Readonly<Record<string, string>>,
  Readonly<Record<string, string>>
> = z.record(
  labelKey,
  z.string().max(63).regex(LABEL_VALUE, "must be at most 63 letters, digits, '-', '_' or '.'"),
);

/** Annotations as users write them. */
export const annotationsSchema: z.ZodType<
  Readonly<Record<string, string>>,
  Readonly<Record<string, string>>
> = z.record(labelKey, z.string());

const ownerReferenceSchema: z.ZodType<OwnerReference> = z
  .object({
    apiVersion: z.string(),
    kind: z.string(),
    name: z.string(),
    uid: z.string(),
  })
  .loose();

/** Metadata as users send it; what a store fills in is accepted (a resource that was read can be sent back). */
export const metadataSchema: z.ZodType<ObjectMetaInput> = z.strictObject({
  name: resourceName.exactOptional(),
  generateName: z.string().min(1).max(248).exactOptional(),
  namespace: z
    .string()
    .max(63)
    .regex(DNS_LABEL, "must consist of lower-case letters, digits and '-'")
    .exactOptional(),
  uid: z.string().exactOptional(),
  resourceVersion: z.string().exactOptional(),
  generation: z.number().exactOptional(),
  creationTimestamp: z.string().exactOptional(),
  deletionTimestamp: z.string().exactOptional(),
  labels: labelsSchema.exactOptional(),
  annotations: annotationsSchema.exactOptional(),
  finalizers: z.array(z.string().min(1)).exactOptional(),
  ownerReferences: z.array(ownerReferenceSchema).exactOptional(),
});
