import * as z from "zod";
import type { Condition } from "./conditions.ts";
import type { Defaulted, KindDefinition } from "./kind.ts";
import type { Resource } from "./meta.ts";

/** A host that guests run on, as its hypervisor reports it. Source: Kubernetes `core/v1` `Node`. */
export interface Node extends Resource {
  readonly kind: "Node";
  readonly spec: Readonly<Record<string, never>>;
  readonly status?: NodeStatus;
}

/** What is written of a {@link Node}. */
export interface NodeInput {
  readonly spec?: Readonly<Record<string, never>> | undefined;
}

/** What a hypervisor reports of a host. */
export interface NodeStatus {
  readonly capacity: { readonly cpu: string; readonly memory: string };
  readonly allocatable: { readonly cpu: string; readonly memory: string };
  readonly nodeInfo: {
    readonly bootID?: string;
    readonly hypervisor: string;
    readonly hypervisorVersion: string;
  };
  /** Guests that run there and are not ours, by the hypervisor's names; they are never touched. */
  readonly unknownGuests: readonly string[];
  readonly conditions: readonly Condition[];
}

/** The kind {@link Node}. */
export const NODE: KindDefinition<Node, NodeInput> = {
  apiVersion: "v1",
  kind: "Node",
  plural: "nodes",
  shortNames: ["no"],
  namespaced: false,
  schema: z.strictObject({ spec: z.strictObject({}).default({}) }),
  columns: [
    {
      name: "Status",
      value: (node) =>
        node.status?.conditions.find(({ type }) => type === "Ready")?.status === "True"
          ? "Ready"
          : "NotReady",
    },
    {
      name: "Version",
      value: ({ status }) =>
        status && `${status.nodeInfo.hypervisor} ${status.nodeInfo.hypervisorVersion}`,
    },
  ],
};

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

/** A sort of storage that volumes can be made of. Source: Kubernetes `storage.k8s.io/v1` `StorageClass`. */
export interface StorageClass extends Resource {
  readonly kind: "StorageClass";
  /** The name of the storage backend. */
  readonly provisioner: string;
  readonly volumeBindingMode: "Immediate" | "WaitForFirstConsumer";
  readonly reclaimPolicy: "Delete" | "Retain";
}

/** What an administrator writes of a {@link StorageClass}. */
export type StorageClassInput = Defaulted<
  Pick<StorageClass, "provisioner" | "volumeBindingMode" | "reclaimPolicy">,
  "volumeBindingMode" | "reclaimPolicy"
>;

/** Marks the storage class that disks get that name none. */
export const DEFAULT_STORAGE_CLASS_ANNOTATION = "storageclass.kubernetes.io/is-default-class";

/** The kind {@link StorageClass}. */
export const STORAGE_CLASS: KindDefinition<StorageClass, StorageClassInput> = {
  apiVersion: "storage.k8s.io/v1",
  kind: "StorageClass",
  plural: "storageclasses",
  shortNames: ["sc"],
  namespaced: false,
  schema: z.strictObject({
    provisioner: z.string().min(1),
    volumeBindingMode: z.enum(["Immediate", "WaitForFirstConsumer"]).default("Immediate"),
    reclaimPolicy: z.enum(["Delete", "Retain"]).default("Delete"),
  }),
  columns: [
    { name: "Provisioner", value: (storageClass) => storageClass.provisioner },
    { name: "ReclaimPolicy", value: (storageClass) => storageClass.reclaimPolicy },
    { name: "VolumeBindingMode", value: (storageClass) => storageClass.volumeBindingMode },
  ],
};
