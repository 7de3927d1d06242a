import { findCondition } from "../api/conditions.ts";
import type { CloneNaming } from "../api/clone-naming.ts";
import { V1ALPHA2 } from "../api/meta.ts";
import type { VirtualMachineOperation } from "../api/virtual-machine-operation.ts";
import type { VirtualMachineSnapshot } from "../api/virtual-machine-snapshot.ts";
import { condition } from "../machine/machine-conditions.ts";
import { planClone } from "../snapshots/clone-plan.ts";
import type { MachineSnapshotContent } from "../snapshots/machine-snapshot-content.ts";
import { newName } from "../snapshots/new-names.ts";
import type { SnapshotPlan } from "../snapshots/snapshot-plan.ts";
import type { ControllerContext } from "./controller-context.ts";
import { findExisting } from "./existing-objects.ts";
import { disksOf, gatherContent } from "./machine-content.ts";
import { failed, type OperationOutcome, summary } from "./operation-outcome.ts";
import { carryOut, resultsOf } from "./plan-runner.ts";
import { findMachineSnapshot } from "./snapshot-content.ts";

/** The snapshot that a clone is made from, which is there only meanwhile. */
function temporarySnapshotName({ metadata }: VirtualMachineOperation): string {
  return `vmop-clone-${metadata.uid}`;
}

/** Takes a clone one step on: a temporary snapshot, the objects, the end of the snapshot. */
export async function stepClone(
  operation: VirtualMachineOperation,
  context: ControllerContext,
): Promise<OperationOutcome> {
  const { namespace = "", uid } = operation.metadata;
  const { clone, virtualMachineName } = operation.spec;
  if (clone === undefined) return failed("OperationFailed", "spec.clone is missing");
  const name = temporarySnapshotName(operation);
  const snapshot = await context.store.get("VirtualMachineSnapshot", { name, namespace });
  const wasReady = findCondition(operation.status?.conditions, "SnapshotReady")?.status === "True";
  if (snapshot === undefined && !wasReady) {
    const vm = await context.store.get("VirtualMachine", { name: virtualMachineName, namespace });
    if (vm === undefined) return failed("VirtualMachineNotFound", "VirtualMachine not found");
    // Judged before anything is done, as if the snapshot were there.
    const { disks } = disksOf(vm, context);
    const pretended = { metadata: { ...vm.metadata, name, uid } } as VirtualMachineSnapshot;
    const content = gatherContent(pretended, vm, disks, context);
    const plan = await planOf(content, clone, { uid, namespace }, context, true);
    if (clone.mode === "DryRun" || !plan.feasible) {
      return summary(plan.feasible, resultsOf(plan, "It can be cloned."), []);
    }
    await makeTemporarySnapshot(operation, context);
    return waiting("The snapshot is being taken.", "SnapshotInProgress");
  }
  const found = await findMachineSnapshot({ name, namespace }, context);
  if ("problem" in found) {
    const why = snapshot?.status?.conditions.find(({ status }) => status === "False")?.message;
    if (snapshot?.status?.phase !== "Failed" && snapshot !== undefined) {
      return waiting(why || "The snapshot is being taken.", "SnapshotInProgress");
    }
    const message = `The snapshot could not be taken: ${why ?? found.problem}`;
    const broken = condition("SnapshotReady", "False", "SnapshotFailed", message);
    return failed("OperationFailed", message, { conditions: [broken] });
  }
  const outcome = await makeMachine(found.content, clone, { uid, namespace }, context);
  const ready = condition("SnapshotReady", "True", "SnapshotReady");
  return outcome.phase === "InProgress"
    ? { ...outcome, reason: "CloneInProgress", conditions: [ready] }
    : outcome;
}

function waiting(message: string, reason: string): OperationOutcome {
  return {
    phase: "InProgress",
    reason: "CloneInProgress",
    message,
    conditions: [condition("SnapshotReady", "False", reason, message)],
  };
}

/** Removes the temporary snapshot of a clone that has ended. True when it is gone. */
export async function removeTemporarySnapshot(
  operation: VirtualMachineOperation,
  { store }: ControllerContext,
): Promise<boolean> {
  const { namespace = "" } = operation.metadata;
  const where = { name: temporarySnapshotName(operation), namespace };
  const snapshot = await store.get("VirtualMachineSnapshot", where);
  if (snapshot === undefined) return true;
  if (snapshot.metadata.deletionTimestamp === undefined) {
    await store.delete("VirtualMachineSnapshot", where, { uid: snapshot.metadata.uid });
  }
  return false;
}

async function makeTemporarySnapshot(
  operation: VirtualMachineOperation,
  { store }: ControllerContext,
): Promise<void> {
  const { apiVersion, kind, metadata, spec } = operation;
  const { name, uid, namespace = "" } = metadata;
  await store.create("VirtualMachineSnapshot", {
    apiVersion: V1ALPHA2,
    kind: "VirtualMachineSnapshot",
    metadata: {
      name: temporarySnapshotName(operation),
      namespace,
      ownerReferences: [{ apiVersion, kind, name, uid }],
    },
    spec: {
      virtualMachineName: spec.virtualMachineName,
      requiredConsistency: true,
      keepIPAddress: "Never",
    },
  });
}

async function planOf(
  content: MachineSnapshotContent,
  naming: CloneNaming,
  operation: { readonly uid: string; readonly namespace: string },
  context: ControllerContext,
  isPretended: boolean,
): Promise<SnapshotPlan> {
  const rename = (kind: string, name: string): string => newName(naming, kind, name);
  const existing = await findExisting(content, rename, operation, context);
  const snapshots = isPretended
    ? content.virtualDisks.map(({ snapshotName }) => `VirtualDiskSnapshot/${snapshotName}`)
    : [];
  const names = new Set([...existing.names, ...snapshots]);
  const { mode } = naming;
  return planClone({ content, rules: naming, mode, existing: { ...existing, names } });
}

/** Makes a new machine from what a snapshot keeps, one step on. */
export async function makeMachine(
  content: MachineSnapshotContent,
  naming: CloneNaming,
  operation: { readonly uid: string; readonly namespace: string },
  context: ControllerContext,
): Promise<OperationOutcome> {
  const plan = await planOf(content, naming, operation, context, false);
  if (naming.mode === "DryRun" || !plan.feasible) {
    return summary(plan.feasible, resultsOf(plan, "It can be cloned."), []);
  }
  const resources = await carryOut(plan, operation, context);
  if (resources.some(({ status }) => status === "InProgress")) {
    const message = "The new virtual machine is being made.";
    return {
      phase: "InProgress",
      reason: "CreateVirtualMachineInProgress",
      message,
      resources,
    };
  }
  return summary(
    resources.every(({ status }) => status === "Completed"),
    resources,
    [],
  );
}
