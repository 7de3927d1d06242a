import * as z from "zod";
import { jsonEquals } from "../util/json.ts";
import { phaseColumn } from "./columns.ts";
import type { Condition } from "./conditions.ts";
import { nonEmpty } from "./fields.ts";
import type { Defaulted, KindDefinition } from "./kind.ts";
import { type Resource, V1ALPHA2 } from "./meta.ts";
import type { FrozenGuest, SnapshotPhase } from "./virtual-disk-snapshot.ts";

/** A VM as it was at one moment: what was wanted of it, and the content of its disks. */
export interface VirtualMachineSnapshot extends Resource {
  readonly kind: "VirtualMachineSnapshot";
  readonly spec: VirtualMachineSnapshotSpec;
  readonly status?: VirtualMachineSnapshotStatus;
}

/** What a user wants of a {@link VirtualMachineSnapshot}; never changes. */
export interface VirtualMachineSnapshotSpec {
  readonly virtualMachineName: string;
  /** Default true: without consistency there is no snapshot. */
  readonly requiredConsistency: boolean;
  /** Whether a VM that is restored gets its address back. Default `Always`. */
  readonly keepIPAddress: "Always" | "Never";
}

/** What a user writes of a {@link VirtualMachineSnapshot}. */
export interface VirtualMachineSnapshotInput {
  readonly spec: Defaulted<VirtualMachineSnapshotSpec, "requiredConsistency" | "keepIPAddress">;
}

/** What is known about a {@link VirtualMachineSnapshot}. */
export interface VirtualMachineSnapshotStatus {
  readonly phase: SnapshotPhase;
  /** True when nothing was being written to the disks; absent when that is not known. */
  readonly consistent?: boolean;
  /** The guest that may be frozen for the snapshot. It is let go before the snapshot ends in any way. */
  readonly frozenGuest?: FrozenGuest;
  readonly virtualDiskSnapshotNames?: readonly string[];
  /** The Secret with what was wanted of the VM and of what belongs to it. */
  readonly virtualMachineSnapshotSecretName?: string;
  /** What the snapshot covers. */
  readonly resources?: readonly {
    readonly apiVersion: string;
    readonly kind: string;
    readonly name: string;
  }[];
  readonly conditions: readonly Condition[];
  readonly observedGeneration: number;
}

/** The kind {@link VirtualMachineSnapshot}. */
export const VIRTUAL_MACHINE_SNAPSHOT: KindDefinition<
  VirtualMachineSnapshot,
  VirtualMachineSnapshotInput
> = {
  apiVersion: V1ALPHA2,
  kind: "VirtualMachineSnapshot",
  plural: "virtualmachinesnapshots",
  shortNames: ["vmsnapshot", "vms"],
  categories: ["virtualization"],
  namespaced: true,
  schema: z.strictObject({
    spec: z.strictObject({
      virtualMachineName: nonEmpty,
      requiredConsistency: z.boolean().default(true),
      keepIPAddress: z.enum(["Always", "Never"]).default("Always"),
    }),
  }),
  admit: (next, { previous }) =>
    previous === undefined || jsonEquals(previous.spec, next.spec)
      ? []
      : [
          {
            field: "spec",
            message:
              "VirtualMachineSnapshot is an idempotent resource: specification changes are not available",
          },
        ],
  columns: [
    phaseColumn(),
    { name: "Consistent", value: ({ status }) => status?.consistent?.toString() },
  ],
};
