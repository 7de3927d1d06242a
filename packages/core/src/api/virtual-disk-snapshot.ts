import * as z from "zod";
import { jsonEquals } from "../util/json.ts";
import { phaseColumn } from "./columns.ts";
import type { Condition } from "./conditions.ts";
import { nonEmpty } from "./fields.ts";
import type { Defaulted, KindDefinition } from "./kind.ts";
import { type Resource, V1ALPHA2 } from "./meta.ts";

/** The content of a disk as it was at one moment. */
export interface VirtualDiskSnapshot extends Resource {
  readonly kind: "VirtualDiskSnapshot";
  readonly spec: VirtualDiskSnapshotSpec;
  readonly status?: VirtualDiskSnapshotStatus;
}

/** What a user wants of a {@link VirtualDiskSnapshot}; never changes. */
export interface VirtualDiskSnapshotSpec {
  readonly virtualDiskName: string;
  /** Default true: without consistency there is no snapshot. */
  readonly requiredConsistency: boolean;
}

/** What a user writes of a {@link VirtualDiskSnapshot}. */
export interface VirtualDiskSnapshotInput {
  readonly spec: Defaulted<VirtualDiskSnapshotSpec, "requiredConsistency">;
}

/** Phases of snapshots. */
export type SnapshotPhase = "Pending" | "InProgress" | "Ready" | "Failed" | "Terminating";

/** A run of a guest whose file systems may be held at rest. */
export interface FrozenGuest {
  readonly uid: string;
  readonly incarnation: number;
  readonly host: string;
}

/** What is known about a {@link VirtualDiskSnapshot}. */
export interface VirtualDiskSnapshotStatus {
  readonly phase: SnapshotPhase;
  /** True when nothing was being written to the disk; absent when that is not known. */
  readonly consistent?: boolean;
  /** The guest that may be frozen for the snapshot. It is let go before the snapshot ends in any way. */
  readonly frozenGuest?: FrozenGuest;
  /** The name under which the storage keeps the snapshot. */
  readonly volumeSnapshotName?: string;
  /** The storage that keeps it. */
  readonly storage?: string;
  /** The least size of a disk that is made of it. */
  readonly sizeBytes?: number;
  /** The storage class of the disk. */
  readonly storageClassName?: string;
  readonly conditions: readonly Condition[];
  readonly observedGeneration: number;
}

/** The kind {@link VirtualDiskSnapshot}. */
export const VIRTUAL_DISK_SNAPSHOT: KindDefinition<VirtualDiskSnapshot, VirtualDiskSnapshotInput> =
  {
    apiVersion: V1ALPHA2,
    kind: "VirtualDiskSnapshot",
    plural: "virtualdisksnapshots",
    shortNames: ["vdsnapshot", "vds"],
    categories: ["virtualization"],
    namespaced: true,
    schema: z.strictObject({
      spec: z.strictObject({
        virtualDiskName: nonEmpty,
        requiredConsistency: z.boolean().default(true),
      }),
    }),
    admit: (next, { previous }) =>
      previous === undefined || jsonEquals(previous.spec, next.spec)
        ? []
        : [
            {
              field: "spec",
              message:
                "VirtualDiskSnapshot is an idempotent resource: specification changes are not available",
            },
          ],
    columns: [
      phaseColumn(),
      { name: "Consistent", value: ({ status }) => status?.consistent?.toString() },
    ],
  };
