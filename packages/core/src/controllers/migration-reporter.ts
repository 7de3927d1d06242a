import { findCondition } from "../api/conditions.ts";
import type { VirtualMachineOperation } from "../api/virtual-machine-operation.ts";
import type { VirtualMachine } from "../api/virtual-machine.ts";
import {
  classifyMigrationFailure,
  migrationProgress,
  migrationReason,
} from "../operations/migration-progress.ts";
import { MigrationTracker } from "../operations/migration-tracker.ts";
import { parseQuantity } from "../util/quantity.ts";
import type { ControllerContext } from "./controller-context.ts";
import type { OperationReport } from "./operation-controller.ts";

/** For how long a place is looked for, in milliseconds. Source: DVP, migration preconditions. */
const PREPARATION_LIMIT = 300_000;

/** For how long a migration may go on, in milliseconds for each GiB of memory. Source: DVP, `completionTimeoutPerGiB`. */
const COMPLETION_LIMIT_PER_GIB = 800_000;

/** Says how far migrations have come. */
export class MigrationReporter {
  readonly #context: ControllerContext;
  readonly #tracker = new MigrationTracker();

  constructor(context: ControllerContext) {
    this.#context = context;
  }

  report(operation: VirtualMachineOperation, vm: VirtualMachine): OperationReport {
    const { uid } = operation.metadata;
    const record = vm.status?.guest;
    if (record?.migration?.id === uid) return this.#underWay(operation, vm);
    const settled = record?.operation?.uid === uid ? record.operation : undefined;
    const message = settled?.message ?? "";
    switch (settled?.outcome) {
      case "Succeeded":
        return {
          phase: "Completed",
          reason: "OperationCompleted",
          progress: 100,
          isSent: true,
        };
      case "Failed":
        return { phase: "Failed", reason: classifyMigrationFailure(message), message };
      case "Aborted":
        return { phase: "Failed", reason: "Aborted", message: message || "It was called off." };
      case "Waiting":
      case undefined:
        return this.#before(operation, vm, message);
    }
  }

  forget({ metadata }: VirtualMachineOperation): void {
    this.#tracker.forget(metadata.uid);
  }

  /** No place has been found yet. */
  #before(
    operation: VirtualMachineOperation,
    { status }: VirtualMachine,
    message: string,
  ): OperationReport {
    const phase = status?.phase ?? "Pending";
    if (phase === "Stopped" || phase === "Stopping" || phase === "Terminating") {
      const text = `Operation type ${operation.spec.type} is not applicable for VirtualMachine in phase ${phase}`;
      return { phase: "Failed", reason: "NotApplicableForVirtualMachinePhase", message: text };
    }
    const since = findCondition(operation.status?.conditions, "Completed")?.lastTransitionTime;
    const began = Date.parse(since ?? operation.metadata.creationTimestamp);
    if (this.#context.clock.now() - began >= PREPARATION_LIMIT) {
      const why = message === "" ? "" : ` ${message}`;
      return {
        phase: "Failed",
        reason: message === "" ? "OperationFailed" : "TargetUnschedulable",
        message: `Timed out preparing the migration target.${why}`,
      };
    }
    const stage = { stage: message === "" ? "scheduling" : "unschedulable" } as const;
    return {
      phase: "InProgress",
      reason: migrationReason(stage),
      message,
      progress: migrationProgress(stage),
    };
  }

  #underWay(operation: VirtualMachineOperation, vm: VirtualMachine): OperationReport {
    const { fleet, clock } = this.#context;
    const now = clock.now();
    const record = vm.status?.guest;
    const migration = record?.migration;
    const observation = fleet.observe(vm.metadata.uid, record);
    const state = observation.state === "present" ? observation.guest.migration : undefined;
    if (migration === undefined || state?.id !== migration.id) {
      const message =
        observation.state === "unknown" ? "A host of the migration does not answer." : "";
      return underWay("TargetPreparing", 3, message, operation);
    }
    const limit = COMPLETION_LIMIT_PER_GIB * Math.max(gibibytes(vm), 1);
    if (now - Date.parse(migration.since) >= limit && state.phase === "copying") {
      const message = `The migration was not complete after ${limit / 1000} s and is given up.`;
      return { phase: "Failed", reason: "NotConverging", message };
    }
    const stage = this.#tracker.stageOf(state, now);
    const isStuck = this.#tracker.isStuck(state, migration.autoConverge, now);
    const reason = isStuck ? "NotConverging" : migrationReason(stage);
    const message = isStuck
      ? "The guest changes its memory faster than it can be copied: force the migration, or let the guest do less."
      : (state.message ?? "");
    return underWay(reason, migrationProgress(stage), message, operation);
  }
}

/** What was shown as done once is not taken back. */
function underWay(
  reason: string,
  progress: number,
  message: string,
  { status }: VirtualMachineOperation,
): OperationReport {
  const shown = Number.parseInt(status?.progress ?? "0", 10);
  return {
    phase: "InProgress",
    reason,
    message,
    progress: Math.max(progress, shown),
    isSent: true,
  };
}

function gibibytes({ spec, status }: VirtualMachine): number {
  return parseQuantity((status?.guest?.appliedSpec ?? spec).memory.size) / 2 ** 30;
}
