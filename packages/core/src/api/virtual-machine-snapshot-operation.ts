import * as z from "zod";
import { jsonEquals } from "../util/json.ts";
import {
  admitCloneNaming,
  type CloneNaming,
  cloneNamingSchema,
  type ResourceResult,
} from "./clone-naming.ts";
import { phaseColumn } from "./columns.ts";
import type { Condition } from "./conditions.ts";
import { nonEmpty } from "./fields.ts";
import type { AdmissionContext, AdmissionIssue, KindDefinition } from "./kind.ts";
import { type Resource, V1ALPHA2 } from "./meta.ts";

/** Something that is done with a snapshot of a VM once: a new VM is made of it. */
export interface VirtualMachineSnapshotOperation extends Resource {
  readonly kind: "VirtualMachineSnapshotOperation";
  readonly spec: VirtualMachineSnapshotOperationSpec;
  readonly status?: VirtualMachineSnapshotOperationStatus;
}

/** What a user wants of a {@link VirtualMachineSnapshotOperation}; never changes. */
export interface VirtualMachineSnapshotOperationSpec {
  readonly type: "CreateVirtualMachine";
  readonly virtualMachineSnapshotName: string;
  readonly createVirtualMachine?: CloneNaming;
}

/** What a user writes of a {@link VirtualMachineSnapshotOperation}. */
export interface VirtualMachineSnapshotOperationInput {
  readonly spec: VirtualMachineSnapshotOperationSpec;
}

/** What is known about a {@link VirtualMachineSnapshotOperation}. */
export interface VirtualMachineSnapshotOperationStatus {
  readonly phase: "Pending" | "InProgress" | "Completed" | "Failed" | "Terminating";
  readonly resources?: readonly ResourceResult[];
  readonly conditions: readonly Condition[];
  readonly observedGeneration: number;
}

function admitSnapshotOperation(
  { spec }: VirtualMachineSnapshotOperation,
  { previous }: AdmissionContext<VirtualMachineSnapshotOperation>,
): AdmissionIssue[] {
  const { createVirtualMachine } = spec;
  const issues: AdmissionIssue[] = [];
  if (previous !== undefined && !jsonEquals(previous.spec, spec)) {
    issues.push({ field: "spec", message: ".spec is immutable" });
  }
  if (createVirtualMachine === undefined) {
    issues.push({
      field: "spec",
      message: "CreateVirtualMachine requires createVirtualMachine field.",
    });
  } else {
    issues.push(...admitCloneNaming(createVirtualMachine, "spec.createVirtualMachine"));
  }
  return issues;
}

/** The kind {@link VirtualMachineSnapshotOperation}. */
export const VIRTUAL_MACHINE_SNAPSHOT_OPERATION: KindDefinition<
  VirtualMachineSnapshotOperation,
  VirtualMachineSnapshotOperationInput
> = {
  apiVersion: V1ALPHA2,
  kind: "VirtualMachineSnapshotOperation",
  plural: "virtualmachinesnapshotoperations",
  shortNames: ["vmsop"],
  categories: ["virtualization"],
  namespaced: true,
  schema: z.strictObject({
    spec: z.strictObject({
      type: z.literal("CreateVirtualMachine"),
      virtualMachineSnapshotName: nonEmpty,
      createVirtualMachine: cloneNamingSchema.exactOptional(),
    }),
  }),
  admit: admitSnapshotOperation,
  columns: [
    phaseColumn(),
    { name: "Type", value: ({ spec }) => spec.type },
    { name: "VirtualMachineSnapshot", value: ({ spec }) => spec.virtualMachineSnapshotName },
  ],
};
