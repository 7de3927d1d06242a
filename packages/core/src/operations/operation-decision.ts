import {
  operationMustWait,
  type OperationType,
  type OperationWish,
  supersedes,
} from "../api/operation-supersede.ts";
import type { VirtualMachinePhase } from "../api/virtual-machine-status.ts";
import type { LiveMigrationPolicy, RunPolicy } from "../api/virtual-machine.ts";
import { migrationPolicy } from "./migration-policy.ts";

/** What a VM's suitability for an operation depends on. */
export interface OperationTarget {
  readonly phase: VirtualMachinePhase;
  readonly runPolicy: RunPolicy;
  readonly liveMigrationPolicy: LiveMigrationPolicy;
  /** Why the VM cannot be migrated. */
  readonly notMigratable?: string;
}

/** An operation of the same VM that was created earlier and has not ended. */
interface EarlierOperation extends OperationWish {
  readonly name: string;
}

/** What an operation that has not begun depends on. */
export interface OperationInputs {
  readonly wish: OperationWish;
  /** Absent when there is no such VM. */
  readonly target: OperationTarget | undefined;
  readonly earlier: readonly EarlierOperation[];
}

/** What is to be done with an operation that has not begun. */
export type OperationDecision =
  | {
      readonly type: "begin";
      /** Operations whose place it takes. */
      readonly supersedes: readonly string[];
    }
  | { readonly type: "wait"; readonly reason: string; readonly message: string }
  | { readonly type: "fail"; readonly reason: string; readonly message: string };

/** Phases that an operation can begin in; those after `forced` only by force. */
const PHASES: Readonly<
  Record<
    OperationType,
    { readonly any: readonly VirtualMachinePhase[]; readonly forced?: "Stopping" }
  >
> = {
  Start: { any: ["Stopped", "Stopping"] },
  // A migration that is under way is given up for a Stop or Restart.
  Stop: {
    any: ["Running", "Degraded", "Starting", "Pause", "Pending", "Migrating"],
    forced: "Stopping",
  },
  Restart: { any: ["Running", "Degraded", "Starting", "Pause", "Migrating"], forced: "Stopping" },
  Migrate: { any: ["Running"] },
  Evict: { any: ["Running"] },
  Restore: { any: ["Running", "Stopped", "Pending"] },
  Clone: { any: ["Running", "Stopped"] },
};

const ALL: readonly RunPolicy[] = [
  "AlwaysOn",
  "AlwaysOff",
  "Manual",
  "AlwaysOnUnlessStoppedManually",
];
const BY_HAND: readonly RunPolicy[] = ["Manual", "AlwaysOnUnlessStoppedManually"];
const ON: readonly RunPolicy[] = ["AlwaysOn", ...BY_HAND];

const POLICIES: Readonly<Record<OperationType, readonly RunPolicy[]>> = {
  Start: BY_HAND,
  Stop: BY_HAND,
  Restart: ON,
  Migrate: ON,
  Evict: ON,
  Restore: ALL,
  Clone: ALL,
};

/** Decides whether an operation can begin. Source: DVP, "Power VMOPs" and "Migration". */
export function decideOperation({ wish, target, earlier }: OperationInputs): OperationDecision {
  const { type } = wish;
  const fail = (reason: string, message: string): OperationDecision => ({
    type: "fail",
    reason,
    message,
  });
  if (target === undefined) return fail("VirtualMachineNotFound", "VirtualMachine not found");
  const { phase, runPolicy, notMigratable } = target;
  if (!POLICIES[type].includes(runPolicy)) {
    return fail(
      "NotApplicableForVirtualMachineRunPolicy",
      `Operation type ${type} is not applicable for VirtualMachine with runPolicy ${runPolicy}`,
    );
  }
  const blocking = earlier.find((other) => !supersedes(wish, other));
  if (blocking) {
    return {
      type: "wait",
      reason: "NotReadyToBeExecuted",
      message: operationMustWait(blocking.name),
    };
  }
  const { any, forced } = PHASES[type];
  if (!any.includes(phase) && !(wish.force === true && phase === forced)) {
    return fail(
      "NotApplicableForVirtualMachinePhase",
      `Operation type ${type} is not applicable for VirtualMachine in phase ${phase}`,
    );
  }
  if (type === "Migrate" || type === "Evict") {
    const policy = migrationPolicy(target.liveMigrationPolicy, wish.force);
    if (policy.problem !== undefined)
      return fail("NotApplicableForLiveMigrationPolicy", policy.problem);
    if (notMigratable !== undefined) {
      const message = `VirtualMachine is not migratable, cannot be processed. ${notMigratable}`;
      return fail("NotReadyToBeExecuted", message.trim());
    }
  }
  return { type: "begin", supersedes: earlier.map(({ name }) => name) };
}
