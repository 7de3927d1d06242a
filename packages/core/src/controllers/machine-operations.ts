import { findCondition } from "../api/conditions.ts";
import { keyOf } from "../api/meta.ts";
import type { VirtualMachineOperation } from "../api/virtual-machine-operation.ts";
import type { VirtualMachine } from "../api/virtual-machine.ts";
import type { PowerRequest } from "../machine/power-intent.ts";
import type { ControllerContext } from "./controller-context.ts";

/** Names the operations of a VM: an index of the cache of operations. */
export const OPERATIONS_BY_MACHINE = "machine";

/** What is to be done with a VM by operations. */
export interface MachineOperations {
  readonly power: PowerRequest | undefined;
  readonly migration: VirtualMachineOperation | undefined;
  /** True while the VM is being restored. */
  readonly maintenance: boolean;
}

/** The operations of a VM that have been let through, as the store has them. */
export async function currentOperations(
  vm: VirtualMachine,
  { caches, store }: ControllerContext,
): Promise<MachineOperations> {
  const known = caches
    .of("VirtualMachineOperation")
    .findBy(OPERATIONS_BY_MACHINE, keyOf(vm.metadata))
    .filter(isUnderWay);
  let power: PowerRequest | undefined;
  let migration: VirtualMachineOperation | undefined;
  let maintenance = false;
  for (const { metadata } of known) {
    const operation = await store.get("VirtualMachineOperation", metadata);
    if (operation === undefined || !isUnderWay(operation)) continue;
    const { type, force = false } = operation.spec;
    switch (type) {
      case "Start":
      case "Stop":
      case "Restart":
        power ??= { uid: operation.metadata.uid, type, force };
        break;
      case "Migrate":
      case "Evict":
        migration ??= operation;
        break;
      case "Restore": {
        const wish = findCondition(operation.status?.conditions, "MaintenanceMode");
        maintenance ||= wish?.status === "True";
        break;
      }
      case "Clone":
        break;
    }
  }
  return { power, migration, maintenance };
}

/** A restore that is called off still has to be undone, so that it counts until it is gone. */
function isUnderWay({ metadata, spec, status }: VirtualMachineOperation): boolean {
  if (spec.type === "Restore")
    return status?.phase === "InProgress" || status?.phase === "Terminating";
  return status?.phase === "InProgress" && metadata.deletionTimestamp === undefined;
}
