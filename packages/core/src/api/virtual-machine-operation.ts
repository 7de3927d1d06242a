import * as z from "zod";
import { jsonEquals } from "../util/json.ts";
import {
  admitCloneNaming,
  type CloneNaming,
  cloneNamingSchema,
  type ResourceResult,
  type RestoreMode,
  restoreModeSchema,
} from "./clone-naming.ts";
import { phaseColumn } from "./columns.ts";
import type { Condition } from "./conditions.ts";
import { nonEmpty, textByKey } from "./fields.ts";
import type { AdmissionContext, AdmissionIssue, KindDefinition } from "./kind.ts";
import { type Resource, V1ALPHA2 } from "./meta.ts";
import { operationMustWait, type OperationType, supersedes } from "./operation-supersede.ts";

/** Something that is done to a VM once. */
export interface VirtualMachineOperation extends Resource {
  readonly kind: "VirtualMachineOperation";
  readonly spec: VirtualMachineOperationSpec;
  readonly status?: VirtualMachineOperationStatus;
}

/** What a user wants of a {@link VirtualMachineOperation}; never changes. */
export interface VirtualMachineOperationSpec {
  readonly type: OperationType;
  readonly virtualMachineName: string;
  /** Stop and Restart: without waiting for the guest. Migrate and Evict: the guest may be slowed down. */
  readonly force?: boolean;
  /** For `Migrate`: the nodes that may be the target. */
  readonly migrate?: { readonly nodeSelector?: Readonly<Record<string, string>> };
  readonly restore?: { readonly mode: RestoreMode; readonly virtualMachineSnapshotName: string };
  readonly clone?: CloneNaming;
}

/** What a user writes of a {@link VirtualMachineOperation}. */
export interface VirtualMachineOperationInput {
  readonly spec: VirtualMachineOperationSpec;
}

/** What is known about a {@link VirtualMachineOperation}. */
export interface VirtualMachineOperationStatus {
  readonly phase: "Pending" | "InProgress" | "Completed" | "Failed" | "Terminating" | "Superseded";
  /** Such as `45%`. */
  readonly progress?: string;
  /** Of Restore and Clone. */
  readonly resources?: readonly ResourceResult[];
  readonly conditions: readonly Condition[];
  readonly observedGeneration: number;
}

/** Source: the DVP custom resource definitions, rules on `spec` of VirtualMachineOperation. */
async function admitOperation(
  { spec, metadata }: VirtualMachineOperation,
  { previous, list }: AdmissionContext<VirtualMachineOperation>,
): Promise<AdmissionIssue[]> {
  const { type, force, restore, clone, migrate } = spec;
  const rules: readonly (readonly [boolean, string])[] = [
    [previous !== undefined && !jsonEquals(previous.spec, spec), ".spec is immutable"],
    [type === "Start" && force === true, "The `Start` operation cannot be performed forcibly."],
    [type === "Restore" && restore === undefined, "Restore requires restore field."],
    [type === "Clone" && clone === undefined, "Clone requires clone field."],
    [
      migrate !== undefined && type !== "Migrate",
      "spec.migrate can only be set when spec.type is 'Migrate'",
    ],
  ];
  const broken = rules.flatMap(([isBroken, message]) =>
    isBroken ? [{ field: "spec", message }] : [],
  );
  const naming = clone ? admitCloneNaming(clone, "spec.clone") : [];
  const issues = [...broken, ...naming];
  if (previous !== undefined || issues.length > 0) return issues;
  const earlier = await list("VirtualMachineOperation", metadata.namespace);
  const obstacle = earlier.find(
    (operation) =>
      operation.spec.virtualMachineName === spec.virtualMachineName &&
      isUnfinished(operation) &&
      !supersedes(spec, operation.spec),
  );
  if (obstacle === undefined) return [];
  return [{ field: "spec", message: operationMustWait(obstacle.metadata.name) }];
}

function isUnfinished({ status }: VirtualMachineOperation): boolean {
  return ["Pending", "InProgress"].includes(status?.phase ?? "Pending");
}

/** The kind {@link VirtualMachineOperation}. */
export const VIRTUAL_MACHINE_OPERATION: KindDefinition<
  VirtualMachineOperation,
  VirtualMachineOperationInput
> = {
  apiVersion: V1ALPHA2,
  kind: "VirtualMachineOperation",
  plural: "virtualmachineoperations",
  shortNames: ["vmop"],
  categories: ["virtualization"],
  namespaced: true,
  schema: z.strictObject({
    spec: z.strictObject({
      type: z.enum(["Restart", "Start", "Stop", "Migrate", "Evict", "Restore", "Clone"]),
      virtualMachineName: nonEmpty,
      force: z.boolean().exactOptional(),
      migrate: z.strictObject({ nodeSelector: textByKey.exactOptional() }).exactOptional(),
      restore: z
        .strictObject({ mode: restoreModeSchema, virtualMachineSnapshotName: nonEmpty })
        .exactOptional(),
      clone: cloneNamingSchema.exactOptional(),
    }),
  }),
  admit: admitOperation,
  columns: [
    phaseColumn(),
    { name: "Progress", value: ({ status }) => status?.progress },
    { name: "Type", value: ({ spec }) => spec.type },
    { name: "VirtualMachine", value: ({ spec }) => spec.virtualMachineName },
  ],
};
