import { mergeConditions } from "../api/conditions.ts";
import { keyOf } from "../api/meta.ts";
import { condition } from "../machine/machine-conditions.ts";
import { timestamp } from "../util/clock.ts";
import type { ControllerContext, RunnableController } from "./controller-context.ts";
import { Controller } from "./runtime/controller.ts";

/** Says of leases of MAC addresses that they are held. They go with their holder. */
export class MacLeaseController implements RunnableController {
  readonly name = "VirtualMachineMACAddressLease controller";
  readonly #context: ControllerContext;
  readonly #controller: Controller;

  constructor(context: ControllerContext) {
    this.#context = context;
    const { caches, clock, logger } = context;
    this.#controller = new Controller({
      name: this.name,
      clock,
      logger,
      concurrency: 1,
      reconcile: (name) => this.#reconcile(name),
    });
    caches.onChange("VirtualMachineMACAddressLease", ({ metadata }) =>
      this.#controller.enqueue(keyOf(metadata)),
    );
  }

  run(signal: AbortSignal): Promise<void> {
    return this.#controller.run(signal);
  }

  async #reconcile(name: string): Promise<void> {
    const { store, clock } = this.#context;
    const lease = await store.get("VirtualMachineMACAddressLease", { name });
    if (lease === undefined) return;
    const before = lease.status?.conditions;
    const conditions = mergeConditions(
      before,
      [condition("Bound", "True", "Bound")],
      timestamp(clock),
    );
    const { generation: observedGeneration } = lease.metadata;
    const status = { phase: "Bound", conditions, observedGeneration } as const;
    await store.updateStatus("VirtualMachineMACAddressLease", { ...lease, status });
  }
}
