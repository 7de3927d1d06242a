import { type ConditionInput, findCondition } from "../api/conditions.ts";
import type { VirtualMachineOperation } from "../api/virtual-machine-operation.ts";
import { condition } from "../machine/machine-conditions.ts";
import { planRestore } from "../snapshots/restore-plan.ts";
import type { ControllerContext } from "./controller-context.ts";
import { findExisting } from "./existing-objects.ts";
import { carryOut, resultsOf } from "./plan-runner.ts";
import { findMachineSnapshot } from "./snapshot-content.ts";
import { failed, type OperationOutcome, summary } from "./operation-outcome.ts";

const MAINTENANCE = "MaintenanceMode";

/** True once a restore has begun to change things: then it goes on to its end, also when it is deleted. */
export function hasBegunRestore({ status }: VirtualMachineOperation): boolean {
  return findCondition(status?.conditions, MAINTENANCE)?.status === "True";
}

/**
 * Takes a restore one step on. The machine is put into maintenance, in which its guest is off; then everything is brought
 * back to the snapshot; then the maintenance ends.
 */
export async function stepRestore(
  operation: VirtualMachineOperation,
  context: ControllerContext,
): Promise<OperationOutcome> {
  const { metadata, spec } = operation;
  const { namespace = "", uid } = metadata;
  const { restore, virtualMachineName } = spec;
  if (restore === undefined) return failed("OperationFailed", "spec.restore is missing");
  const where = { name: restore.virtualMachineSnapshotName, namespace };
  const found = await findMachineSnapshot(where, context);
  const begun = hasBegunRestore(operation);
  const end: ConditionInput[] = begun
    ? [condition(MAINTENANCE, "False", "MaintenanceModeDisabled")]
    : [];
  if ("problem" in found) {
    const broken = condition("SnapshotReady", "False", "SnapshotFailed", found.problem);
    return failed("OperationFailed", found.problem, { conditions: [broken, ...end] });
  }
  const { content, snapshot } = found;
  if (content.virtualMachine.name !== virtualMachineName) {
    const message = `VirtualMachineSnapshot "${where.name}" is of VirtualMachine "${content.virtualMachine.name}" and not of "${virtualMachineName}": name another snapshot.`;
    return failed("OperationFailed", message);
  }
  const ready = condition("SnapshotReady", "True", "SnapshotReady");
  const existing = await findExisting(content, (_, name) => name, { uid, namespace }, context);
  const { mode } = restore;
  const { keepIPAddress } = snapshot.spec;
  const plan = planRestore({ content, keepIPAddress, mode, existing });
  if (!begun) {
    if (mode === "DryRun" || !plan.feasible) {
      return summary(plan.feasible, resultsOf(plan, "It can be restored."), [ready]);
    }
    return {
      phase: "InProgress",
      reason: "RestoreInProgress",
      message: "The virtual machine is put into maintenance.",
      conditions: [ready, condition(MAINTENANCE, "True", "MaintenanceModeEnabled")],
    };
  }
  const vm = await context.store.get("VirtualMachine", { name: virtualMachineName, namespace });
  if (vm === undefined) {
    const message = `VirtualMachine "${virtualMachineName}" is gone: restore a machine that exists, or make one of the snapshot.`;
    return failed("VirtualMachineNotFound", message, { conditions: [ready, ...end] });
  }
  const maintenance = condition(MAINTENANCE, "True", "MaintenanceModeEnabled");
  const record = vm.status?.guest;
  const isOff = record === undefined || record.state === "Stopped";
  if (!isOff || findCondition(vm.status?.conditions, "Maintenance")?.status !== "True") {
    return {
      phase: "InProgress",
      reason: "RestoreInProgress",
      message: "Waiting for the guest to stop.",
      conditions: [ready, maintenance],
    };
  }
  const resources = await carryOut(plan, { uid, namespace }, context);
  if (resources.some(({ status }) => status === "InProgress")) {
    return {
      phase: "InProgress",
      reason: "RestoreInProgress",
      message: "The virtual machine is being restored.",
      resources,
      conditions: [ready, maintenance],
    };
  }
  const isWhole = resources.every(({ status }) => status === "Completed");
  return summary(isWhole, resources, [ready, ...end]);
}
