import { mergeConditions } from "../api/conditions.ts";
import { keyOf } from "../api/meta.ts";
import type {
  VirtualMachineSnapshotOperation,
  VirtualMachineSnapshotOperationStatus,
} from "../api/virtual-machine-snapshot-operation.ts";
import { condition } from "../machine/machine-conditions.ts";
import { timestamp } from "../util/clock.ts";
import { makeMachine } from "./clone-runner.ts";
import type { ControllerContext, RunnableController } from "./controller-context.ts";
import { failed, type OperationOutcome } from "./operation-outcome.ts";
import { Controller, type ReconcileResult } from "./runtime/controller.ts";
import { findMachineSnapshot } from "./snapshot-content.ts";

/** How soon an operation is looked at again that waits for what it has made, in milliseconds. */
const LOOK_AGAIN = 1_000;

/** Makes new machines from snapshots. */
export class SnapshotOperationController implements RunnableController {
  readonly name = "VirtualMachineSnapshotOperation controller";
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
    caches.onChange("VirtualMachineSnapshotOperation", ({ metadata }) =>
      this.#controller.enqueue(keyOf(metadata)),
    );
  }

  run(signal: AbortSignal): Promise<void> {
    return this.#controller.run(signal);
  }

  async #reconcile(key: string): Promise<ReconcileResult | void> {
    const { store, caches } = this.#context;
    const found = caches.of("VirtualMachineSnapshotOperation").get(key);
    const operation = found && (await store.get("VirtualMachineSnapshotOperation", found.metadata));
    if (operation === undefined || operation.metadata.deletionTimestamp !== undefined) return;
    if (operation.status?.phase === "Completed" || operation.status?.phase === "Failed") return;
    const outcome = await this.#step(operation);
    await this.#write(operation, outcome);
    return outcome.phase === "InProgress" ? { requeueAfter: LOOK_AGAIN } : undefined;
  }

  /** Fails at once when the snapshot cannot be used now. Source: DVP, VirtualMachineSnapshotOperation. */
  async #step(operation: VirtualMachineSnapshotOperation): Promise<OperationOutcome> {
    const { namespace = "", uid } = operation.metadata;
    const { createVirtualMachine, virtualMachineSnapshotName: name } = operation.spec;
    if (createVirtualMachine === undefined) {
      const message =
        "Cannot start the clone: no parameters for the new virtual machine are specified.";
      return failed("OperationFailed", message);
    }
    const usable = await findMachineSnapshot({ name, namespace }, this.#context);
    if ("problem" in usable) return failed(usable.reason, usable.problem);
    const earlier = this.#earlier(operation);
    if (earlier !== undefined) {
      const message = `VirtualMachineSnapshotOperation "${earlier}" uses the snapshot and was created before: wait for it to end.`;
      return failed("NotReadyToBeExecuted", message);
    }
    return makeMachine(usable.content, createVirtualMachine, { uid, namespace }, this.#context);
  }

  /** An operation on the same snapshot that was created before and has not ended. */
  #earlier({ metadata, spec, status }: VirtualMachineSnapshotOperation): string | undefined {
    // What was let through once goes on.
    if (status?.phase === "InProgress") return undefined;
    const order = (one: VirtualMachineSnapshotOperation["metadata"]): string =>
      `${one.creationTimestamp} ${one.name}`;
    const cache = this.#context.caches.of("VirtualMachineSnapshotOperation");
    for (const other of cache.values()) {
      const isOther =
        other.metadata.uid !== metadata.uid &&
        other.metadata.namespace === metadata.namespace &&
        other.spec.virtualMachineSnapshotName === spec.virtualMachineSnapshotName;
      const isOver = other.status?.phase === "Completed" || other.status?.phase === "Failed";
      if (isOther && !isOver && order(other.metadata) < order(metadata)) return other.metadata.name;
    }
    return undefined;
  }

  async #write(
    operation: VirtualMachineSnapshotOperation,
    { phase, reason, message, resources }: OperationOutcome,
  ): Promise<void> {
    const { clock, store, events } = this.#context;
    const { generation } = operation.metadata;
    const done = phase === "Completed" ? "True" : "False";
    const status: VirtualMachineSnapshotOperationStatus = {
      phase,
      ...(resources && { resources }),
      observedGeneration: generation,
      conditions: mergeConditions(
        operation.status?.conditions,
        [{ ...condition("Completed", done, reason, message), observedGeneration: generation }],
        timestamp(clock),
      ),
    };
    await store.updateStatus("VirtualMachineSnapshotOperation", { ...operation, status });
    if (phase === operation.status?.phase) return;
    const said = { InProgress: "Started", Completed: "Succeeded", Failed: "Failed" } as const;
    events.record(operation, {
      reason: `VirtualMachineSnapshotOperation${said[phase]}`,
      message: message || "The new virtual machine is there.",
      type: phase === "Failed" ? "Warning" : "Normal",
    });
  }
}
