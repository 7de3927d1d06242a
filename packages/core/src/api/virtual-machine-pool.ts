import * as z from "zod";
import type { Condition } from "./conditions.ts";
import type { Defaulted, KindDefinition } from "./kind.ts";
import { labelsSchema, annotationsSchema, type Resource, V1ALPHA2 } from "./meta.ts";
import {
  type VirtualDiskSpec,
  type VirtualDiskSpecInput,
  virtualDiskSpecSchema,
} from "./virtual-disk.ts";
import { admitPool, setPoolDefaults } from "./virtual-machine-pool-admission.ts";
import { virtualMachineSpecSchema } from "./virtual-machine-schema.ts";
import type { VirtualMachineSpec, VirtualMachineSpecInput } from "./virtual-machine.ts";

/** A number of VMs made of one template. */
export interface VirtualMachinePool extends Resource {
  readonly kind: "VirtualMachinePool";
  readonly spec: VirtualMachinePoolSpec;
  readonly status?: VirtualMachinePoolStatus;
}

/** A disk that every VM of a pool gets. */
export interface VirtualDiskTemplate {
  /** By which `blockDeviceRefs` of the VM template names it. */
  readonly name: string;
  readonly spec: VirtualDiskSpec;
  /** What becomes of the disk when its VM is removed. Default: it is deleted. */
  readonly reclaim?: {
    readonly onScaleDown: "Delete" | "Retain";
    /** Free disks that are kept over `ttl`. Default 0. */
    readonly keep: number;
    /** How long a free disk is kept, such as `30m`. Default: without end. */
    readonly ttl?: string;
  };
}

/** What a user wants of a {@link VirtualMachinePool}. */
export interface VirtualMachinePoolSpec {
  /** Default: as many as there are, none for a new pool. */
  readonly replicas?: number;
  /** Which VMs go first; `Explicit`: those that are named when scaling down. */
  readonly scaleDownPolicy: "NewestFirst" | "OldestFirst" | "Explicit";
  /** 1 to 16. */
  readonly virtualDiskTemplates: readonly VirtualDiskTemplate[];
  readonly virtualMachineTemplate: {
    readonly metadata?: {
      readonly labels?: Readonly<Record<string, string>>;
      readonly annotations?: Readonly<Record<string, string>>;
    };
    readonly spec: VirtualMachineSpec;
  };
}

/** What a user writes of a {@link VirtualMachinePool}. */
export interface VirtualMachinePoolInput {
  readonly spec: Omit<VirtualMachinePoolSpec, "virtualDiskTemplates" | "virtualMachineTemplate"> & {
    readonly virtualDiskTemplates: readonly (Omit<VirtualDiskTemplate, "spec" | "reclaim"> & {
      readonly spec: VirtualDiskSpecInput;
      readonly reclaim?: Defaulted<
        NonNullable<VirtualDiskTemplate["reclaim"]>,
        "onScaleDown" | "keep"
      >;
    })[];
    readonly virtualMachineTemplate: Omit<
      VirtualMachinePoolSpec["virtualMachineTemplate"],
      "spec"
    > & { readonly spec: VirtualMachineSpecInput };
  };
}

/** What is known about a {@link VirtualMachinePool}. */
export interface VirtualMachinePoolStatus {
  readonly replicas: number;
  readonly readyReplicas: number;
  /** Made of the present template. */
  readonly updatedReplicas: number;
  /** Made of the present template as far as that works without a restart. */
  readonly restartPendingReplicas: number;
  readonly desiredTemplateHash?: string;
  /** Chooses the VMs of the pool, as text. */
  readonly selector?: string;
  readonly conditions: readonly Condition[];
  readonly observedGeneration: number;
}

/** The kind {@link VirtualMachinePool}. Names leave room for the names of members. */
export const VIRTUAL_MACHINE_POOL: KindDefinition<VirtualMachinePool, VirtualMachinePoolInput> = {
  apiVersion: V1ALPHA2,
  kind: "VirtualMachinePool",
  plural: "virtualmachinepools",
  shortNames: ["vmpool", "vmpools"],
  categories: ["virtualization"],
  namespaced: true,
  maxNameLength: 57,
  schema: z.strictObject({
    spec: z.strictObject({
      replicas: z.int().min(0).exactOptional(),
      scaleDownPolicy: z.enum(["NewestFirst", "OldestFirst", "Explicit"]),
      virtualDiskTemplates: z
        .array(
          z.strictObject({
            name: z
              .string()
              .max(63)
              .regex(
                /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/,
                "must consist of lower-case letters, digits and '-'",
              ),
            spec: virtualDiskSpecSchema,
            reclaim: z
              .strictObject({
                onScaleDown: z.enum(["Delete", "Retain"]).default("Delete"),
                keep: z.int().min(0).default(0),
                ttl: z.string().exactOptional(),
              })
              .exactOptional(),
          }),
        )
        .min(1)
        .max(16),
      virtualMachineTemplate: z.strictObject({
        metadata: z
          .strictObject({
            labels: labelsSchema.exactOptional(),
            annotations: annotationsSchema.exactOptional(),
          })
          .exactOptional(),
        spec: virtualMachineSpecSchema,
      }),
    }),
  }),
  setDefaults: setPoolDefaults,
  admit: admitPool,
  columns: [
    { name: "Replicas", value: ({ status }) => status?.replicas.toString() },
    { name: "Ready", value: ({ status }) => status?.readyReplicas.toString() },
  ],
};
