import { type ConditionInput, findCondition, mergeConditions } from "../api/conditions.ts";
import { keyOf } from "../api/meta.ts";
import type {
  VirtualMachineOperation,
  VirtualMachineOperationStatus,
} from "../api/virtual-machine-operation.ts";
import { condition } from "../machine/machine-conditions.ts";
import { timestamp } from "../util/clock.ts";
import { jsonEquals } from "../util/json.ts";
import { removeTemporarySnapshot, stepClone } from "./clone-runner.ts";
import type { ControllerContext, RunnableController } from "./controller-context.ts";
import { FINALIZERS, withFinalizer, withoutFinalizer } from "./finalizers.ts";
import type { OperationOutcome } from "./operation-outcome.ts";
import { hasBegunRestore, stepRestore } from "./restore-runner.ts";
import { Controller, type ReconcileResult } from "./runtime/controller.ts";

/** How soon an operation is looked at again that waits for other resources, in milliseconds. */
const LOOK_AGAIN = 1_000;

/** Carries out operations that restore and clone machines, once they have been let through. */
export class RestorationController implements RunnableController {
  readonly name = "Restore and clone controller";
  readonly #context: ControllerContext;
  readonly #controller: Controller;

  constructor(context: ControllerContext) {
    this.#context = context;
    const { caches, clock, logger } = context;
    this.#controller = new Controller({
      name: this.name,
      clock,
      logger,
      concurrency: 4,
      reconcile: (key) => this.#reconcile(key),
    });
    caches.onChange("VirtualMachineOperation", ({ metadata, spec }) => {
      if (spec.type === "Restore" || spec.type === "Clone") {
        this.#controller.enqueue(keyOf(metadata));
      }
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
    const deleting = operation.metadata.deletionTimestamp !== undefined;
    const phase = operation.status?.phase;
    const isUnderWay = phase === "InProgress" || phase === "Terminating";
    // What a restore has begun is brought to its end: a machine that is half restored is of no use.
    if (!isUnderWay || (deleting && !hasBegunRestore(operation))) return this.#end(operation);
    const kept = deleting
      ? operation
      : await withFinalizer(store, operation, FINALIZERS.restoration);
    const outcome = await this.#step(kept);
    await this.#write(kept, outcome);
    return { requeueAfter: LOOK_AGAIN };
  }

  #step(operation: VirtualMachineOperation): Promise<OperationOutcome> {
    return operation.spec.type === "Restore"
      ? stepRestore(operation, this.#context)
      : stepClone(operation, this.#context);
  }

  /** Removes what was there only for the operation. */
  async #end(operation: VirtualMachineOperation): Promise<ReconcileResult | void> {
    if (!operation.metadata.finalizers?.includes(FINALIZERS.restoration)) return;
    if (operation.spec.type === "Clone") {
      if (!(await removeTemporarySnapshot(operation, this.#context))) {
        return { requeueAfter: LOOK_AGAIN };
      }
      const ready = findCondition(operation.status?.conditions, "SnapshotReady");
      if (ready?.status === "True") {
        const cleaned = condition("SnapshotReady", "False", "SnapshotCleanedUp");
        const written = await this.#writeConditions(operation, [cleaned]);
        return withoutFinalizer(this.#context.store, written, FINALIZERS.restoration);
      }
    }
    return withoutFinalizer(this.#context.store, operation, FINALIZERS.restoration);
  }

  async #write(operation: VirtualMachineOperation, outcome: OperationOutcome): Promise<void> {
    const { phase, reason, message, resources, conditions = [] } = outcome;
    const done = phase === "Completed" ? "True" : "False";
    const completed = condition("Completed", done, reason, message);
    await this.#writeConditions(operation, [...conditions, completed], {
      phase,
      ...(resources && { resources }),
      ...(phase === "Completed" && { progress: "100%" }),
    });
    if (phase === "InProgress") return;
    const failed = phase === "Failed";
    this.#context.events.record(operation, {
      reason: `VirtualMachineOperation${failed ? "Failed" : "Succeeded"}`,
      message: message || `${operation.spec.type} is done.`,
      type: failed ? "Warning" : "Normal",
    });
  }

  async #writeConditions(
    operation: VirtualMachineOperation,
    conditions: readonly ConditionInput[],
    more: Partial<VirtualMachineOperationStatus> = {},
  ): Promise<VirtualMachineOperation> {
    const before = operation.status;
    const { generation } = operation.metadata;
    const written = new Set(conditions.map(({ type }) => type));
    const kept = (before?.conditions ?? []).filter(({ type }) => !written.has(type));
    const status: VirtualMachineOperationStatus = {
      phase: "InProgress",
      ...before,
      ...more,
      observedGeneration: generation,
      conditions: mergeConditions(
        before?.conditions,
        [...kept, ...conditions.map((input) => ({ ...input, observedGeneration: generation }))],
        timestamp(this.#context.clock),
      ),
    };
    if (jsonEquals(status, before)) return operation;
    return this.#context.store.updateStatus("VirtualMachineOperation", { ...operation, status });
  }
}
