import type { ConditionInput } from "../api/conditions.ts";
import type { VirtualMachineSpec } from "../api/virtual-machine.ts";
import { jsonEquals } from "../util/json.ts";
import { condition } from "./machine-conditions.ts";

/** Fields that act at once, or on nothing that runs. */
const IMMEDIATE: ReadonlySet<string> = new Set([
  "runPolicy",
  "disruptions",
  "terminationGracePeriodSeconds",
  "liveMigrationPolicy",
]);

/** The condition that says which fields of a running VM differ from what its guest was built from, if any do. */
export function waitingChanges(
  wanted: VirtualMachineSpec,
  applied: VirtualMachineSpec | undefined,
): ConditionInput[] {
  if (applied === undefined) return [];
  const names = Object.keys({ ...applied, ...wanted }) as (keyof VirtualMachineSpec)[];
  const changed = names.filter(
    (name) => !IMMEDIATE.has(name) && !jsonEquals(wanted[name], applied[name]),
  );
  if (changed.length === 0) return [];
  const fields = changed.map((name) => `spec.${name}`).join(", ");
  return [
    condition(
      "AwaitingRestartToApplyConfiguration",
      "True",
      "ChangesPendingRestart",
      `Changes of ${fields} take effect at the next start of the guest.`,
    ),
  ];
}
