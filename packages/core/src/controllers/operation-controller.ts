import { findCondition, mergeConditions } from "../api/conditions.ts";
import { keyOf } from "../api/meta.ts";
import type {
  VirtualMachineOperation,
  VirtualMachineOperationStatus,
} from "../api/virtual-machine-operation.ts";
import type { VirtualMachine } from "../api/virtual-machine.ts";
import { condition } from "../machine/machine-conditions.ts";
import { wantsToRun } from "../machine/power-intent.ts";
import { decideOperation, type OperationTarget } from "../operations/operation-decision.ts";
import { powerOutcome } from "../operations/power-outcome.ts";
import { timestamp } from "../util/clock.ts";
import { isPolyvisorError } from "../util/errors.ts";
import { jsonEquals } from "../util/json.ts";
import type { ControllerContext, RunnableController } from "./controller-context.ts";
import { FINALIZERS, withFinalizer, withoutFinalizer } from "./finalizers.ts";
import { OPERATIONS_BY_MACHINE } from "./machine-operations.ts";
import { MACHINES_BY_UID } from "./machine-controller.ts";
import { MigrationReporter } from "./migration-reporter.ts";
import { MigrationSlots } from "./migration-slots.ts";
import { Controller, type ReconcileResult } from "./runtime/controller.ts";

/** What an operation has come to, for its status. */
export interface OperationReport {
  readonly phase: VirtualMachineOperationStatus["phase"];
  readonly reason: string;
  readonly message?: string;
  /** Per cent. */
  readonly progress?: number;
  /** True when what is asked for has reached the VM's record. */
  readonly isSent?: boolean;
}

/** How soon an operation that is under way is looked at again, should no event come. */
const RECHECK = 5_000;

/** Lets operations through one at a time, and says what becomes of them. Machines act on those that are let through. */
export class OperationController implements RunnableController {
  readonly name = "VirtualMachineOperation controller";
  readonly #context: ControllerContext;
  readonly #controller: Controller;
  readonly #slots: MigrationSlots;
  readonly #migrations: MigrationReporter;

  constructor(context: ControllerContext) {
    this.#context = context;
    const { caches, clock, logger, fleet } = context;
    this.#controller = new Controller({
      name: this.name,
      clock,
      logger,
      // One at a time: each counts on those that were let through before.
      concurrency: 1,
      reconcile: (key) => this.#reconcile(key),
    });
    this.#slots = new MigrationSlots(context, (key) => this.#controller.enqueue(key));
    this.#migrations = new MigrationReporter(context);
    const operations = caches.of("VirtualMachineOperation");
    const ofMachine = (key: string): void => {
      for (const { metadata, status } of operations.findBy(OPERATIONS_BY_MACHINE, key))
        if (!isOver(status)) this.#controller.enqueue(keyOf(metadata));
    };
    operations.onChange((previous, next) => {
      for (const one of [previous, next]) {
        if (one === undefined) continue;
        this.#controller.enqueue(keyOf(one.metadata));
        // Others of the VM may have waited for it.
        ofMachine(machineKey(one));
      }
    });
    caches.onChange("VirtualMachine", ({ metadata }) => ofMachine(keyOf(metadata)));
    fleet.onGuest((uid) => {
      for (const { metadata } of caches.of("VirtualMachine").findBy(MACHINES_BY_UID, uid))
        ofMachine(keyOf(metadata));
    });
  }

  run(signal: AbortSignal): Promise<void> {
    return this.#controller.run(signal);
  }

  async #reconcile(key: string): Promise<ReconcileResult | void> {
    const { store, caches } = this.#context;
    const found = caches.of("VirtualMachineOperation").get(key);
    const operation = found && (await store.get("VirtualMachineOperation", found.metadata));
    if (operation === undefined) return;
    const { name, namespace = "" } = operation.metadata;
    const where = { name: operation.spec.virtualMachineName, namespace };
    const vm = await store.get("VirtualMachine", where);
    if (operation.metadata.deletionTimestamp !== undefined) return this.#end(operation, vm);
    if (isOver(operation.status)) return this.#letGo(operation);
    if (operation.status?.phase === "InProgress") {
      const report = this.#report(operation, vm);
      if (report) await this.#write(operation, report);
      return { requeueAfter: RECHECK };
    }
    const earlier = this.#earlier(operation);
    const decision = decideOperation({
      wish: operation.spec,
      target: vm && this.#target(vm),
      earlier: earlier.map(({ metadata, spec }) => ({ ...spec, name: metadata.name })),
    });
    switch (decision.type) {
      case "fail":
        return this.#write(operation, { phase: "Failed", ...decision });
      case "wait":
        return this.#write(operation, { phase: "Pending", ...decision });
      case "begin": {
        const waits = vm && isMigration(operation) && !this.#slots.take(operation, vm);
        if (waits) {
          const message = "Other Migrations are in progress";
          await this.#write(operation, {
            phase: "Pending",
            reason: "MigrationPending",
            message,
            progress: 0,
          });
          return { requeueAfter: RECHECK };
        }
        for (const other of earlier) await this.#supersede(other, name, operation.spec.type);
        return this.#begin(operation);
      }
    }
  }

  async #begin(operation: VirtualMachineOperation): Promise<void> {
    const { store } = this.#context;
    const kept = isMigration(operation)
      ? await withFinalizer(store, operation, FINALIZERS.operation)
      : operation;
    await this.#write(kept, { phase: "InProgress", ...BEGUN[operation.spec.type] });
  }

  /** What has become of an operation that was let through; nothing for those that somebody else carries out. */
  #report(
    operation: VirtualMachineOperation,
    vm: VirtualMachine | undefined,
  ): OperationReport | undefined {
    const { type } = operation.spec;
    if (type === "Restore" || type === "Clone") return undefined;
    if (vm === undefined) {
      const message = "VirtualMachine not found";
      return { phase: "Failed", reason: "VirtualMachineNotFound", message };
    }
    if (type === "Migrate" || type === "Evict") return this.#migrations.report(operation, vm);
    const begun = BEGUN[type];
    const record = vm.status?.guest;
    const running = findCondition(vm.status?.conditions, "Running");
    const obstacle = vm.status?.conditions.find(({ status }) => status === "False")?.message ?? "";
    const outcome = powerOutcome({
      type,
      uid: operation.metadata.uid,
      record,
      wantsToRun: wantsToRun(record, {
        runPolicy: vm.spec.runPolicy,
        deleting: vm.metadata.deletionTimestamp !== undefined,
        maintenance: false,
      }),
      obstacle: running?.message || obstacle,
    });
    switch (outcome.state) {
      case "waiting":
        return { phase: "InProgress", ...begun };
      case "under-way":
        return { phase: "InProgress", ...begun, message: obstacle, isSent: true };
      case "completed":
        return { phase: "Completed", reason: "OperationCompleted", isSent: true };
      case "failed":
        return { phase: "Failed", reason: "OperationFailed", message: outcome.message };
    }
  }

  #target(vm: VirtualMachine): OperationTarget {
    const migratable = findCondition(vm.status?.conditions, "Migratable");
    return {
      phase: vm.status?.phase ?? "Pending",
      runPolicy: vm.spec.runPolicy,
      liveMigrationPolicy: vm.spec.liveMigrationPolicy,
      ...(migratable?.status === "False" && { notMigratable: migratable.message }),
    };
  }

  /** Operations of the same VM that have not ended, and that were let through or created before. */
  #earlier(operation: VirtualMachineOperation): VirtualMachineOperation[] {
    return this.#context.caches
      .of("VirtualMachineOperation")
      .findBy(OPERATIONS_BY_MACHINE, machineKey(operation))
      .filter(
        (other) =>
          other.metadata.uid !== operation.metadata.uid &&
          !isOver(other.status) &&
          (other.status?.phase === "InProgress" || orderOf(other) < orderOf(operation)),
      );
  }

  async #supersede(
    { metadata }: VirtualMachineOperation,
    byName: string,
    byType: string,
  ): Promise<void> {
    const fresh = await this.#context.store.get("VirtualMachineOperation", metadata);
    if (fresh === undefined || isOver(fresh.status)) return;
    await this.#write(fresh, {
      phase: "Superseded",
      reason: "Superseded",
      message: `Superseded by ${byName} with type ${byType}`,
    });
  }

  /** A migration that is called off is waited for. */
  async #end(
    operation: VirtualMachineOperation,
    vm: VirtualMachine | undefined,
  ): Promise<ReconcileResult | void> {
    if (vm?.status?.guest?.migration?.id !== operation.metadata.uid) return this.#letGo(operation);
    await this.#write(operation, {
      phase: "Terminating",
      reason: "Aborted",
      message: "The migration is being called off.",
    });
    return { requeueAfter: RECHECK };
  }

  async #letGo(operation: VirtualMachineOperation): Promise<void> {
    this.#migrations.forget(operation);
    if (isMigration(operation))
      await withoutFinalizer(this.#context.store, operation, FINALIZERS.operation);
  }

  async #write(operation: VirtualMachineOperation, report: OperationReport): Promise<void> {
    const { store, clock, events } = this.#context;
    const { phase, reason, message = "", progress, isSent } = report;
    const { generation } = operation.metadata;
    const before = operation.status;
    const kept = (before?.conditions ?? []).filter(
      ({ type }) => type !== "Completed" && type !== "SignalSent",
    );
    const completed = condition(
      "Completed",
      phase === "Completed" ? "True" : "False",
      reason,
      message,
    );
    const sent = findCondition(before?.conditions, "SignalSent");
    const signal = isSent ? condition("SignalSent", "True", "SignalSentSuccess") : sent;
    const shown = progress === undefined ? undefined : `${progress}%`;
    const status: VirtualMachineOperationStatus = {
      ...before,
      phase,
      ...(shown !== undefined && { progress: shown }),
      conditions: mergeConditions(
        before?.conditions,
        [...kept, completed, ...(signal ? [signal] : [])].map((input) => ({
          ...input,
          observedGeneration: generation,
        })),
        timestamp(clock),
      ),
      observedGeneration: generation,
    };
    if (jsonEquals(status, before)) return;
    try {
      await store.updateStatus("VirtualMachineOperation", { ...operation, status });
    } catch (error) {
      if (!isPolyvisorError(error, "POLYVISOR_NOT_FOUND")) throw error;
      return;
    }
    const note = phase === before?.phase ? undefined : EVENTS[phase];
    if (note) events.record(operation, { ...note, message: message || note.message });
  }
}

/** The condition `Completed` of an operation that was let through. */
const BEGUN: Readonly<
  Record<
    VirtualMachineOperation["spec"]["type"],
    { readonly reason: string; readonly progress?: number }
  >
> = {
  Start: { reason: "StartInProgress" },
  Stop: { reason: "StopInProgress" },
  Restart: { reason: "RestartInProgress" },
  Migrate: { reason: "TargetScheduling", progress: 2 },
  Evict: { reason: "TargetScheduling", progress: 2 },
  Restore: { reason: "RestoreInProgress" },
  Clone: { reason: "CloneInProgress" },
};

const EVENTS: Readonly<
  Partial<
    Record<
      VirtualMachineOperationStatus["phase"],
      { readonly reason: string; readonly message: string; readonly type?: "Warning" }
    >
  >
> = {
  Pending: { reason: "VirtualMachineOperationPending", message: "The operation waits." },
  InProgress: { reason: "VirtualMachineOperationStarted", message: "The operation has begun." },
  Completed: {
    reason: "VirtualMachineOperationSucceeded",
    message: "The operation is completed.",
  },
  Failed: {
    reason: "VirtualMachineOperationFailed",
    message: "The operation has failed.",
    type: "Warning",
  },
};

/** True for an operation that has ended. */
export function isOver(status: VirtualMachineOperationStatus | undefined): boolean {
  const phase = status?.phase;
  return phase === "Completed" || phase === "Failed" || phase === "Superseded";
}

function isMigration({ spec: { type } }: VirtualMachineOperation): boolean {
  return type === "Migrate" || type === "Evict";
}

function machineKey({ metadata, spec }: VirtualMachineOperation): string {
  return `${metadata.namespace}/${spec.virtualMachineName}`;
}

function orderOf({ metadata }: VirtualMachineOperation): string {
  return `${metadata.creationTimestamp} ${metadata.name}`;
}
