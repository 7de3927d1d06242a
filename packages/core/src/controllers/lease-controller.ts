import { findCondition, mergeConditions } from "../api/conditions.ts";
import { keyOf } from "../api/meta.ts";
import type { VirtualMachineIPAddressLeaseStatus } from "../api/virtual-machine-ip-address.ts";
import { condition } from "../machine/machine-conditions.ts";
import { timestamp } from "../util/clock.ts";
import type { ControllerContext, RunnableController } from "./controller-context.ts";
import { Controller, type ReconcileResult } from "./runtime/controller.ts";

/** How long an address is kept for its namespace after its holder is gone. Source: the DVP administrator guide. */
const RETENTION = 600_000;

/** Says of leases whether they are held, and deletes those that were given up ten minutes ago. */
export class LeaseController implements RunnableController {
  readonly name = "VirtualMachineIPAddressLease controller";
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
    caches.onChange("VirtualMachineIPAddressLease", ({ metadata }) =>
      this.#controller.enqueue(keyOf(metadata)),
    );
  }

  run(signal: AbortSignal): Promise<void> {
    return this.#controller.run(signal);
  }

  async #reconcile(name: string): Promise<ReconcileResult | void> {
    const { store, clock } = this.#context;
    const lease = await store.get("VirtualMachineIPAddressLease", { name });
    if (lease === undefined) return;
    const held = lease.spec.virtualMachineIPAddressRef?.name !== undefined;
    const { uid, resourceVersion, generation } = lease.metadata;
    const before = findCondition(lease.status?.conditions, "Bound");
    if (!held && before?.status === "False") {
      const left = Date.parse(before.lastTransitionTime) + RETENTION - clock.now();
      if (left > 0) return { requeueAfter: left };
      await store.delete("VirtualMachineIPAddressLease", { name }, { uid, resourceVersion });
      return;
    }
    const status: VirtualMachineIPAddressLeaseStatus = {
      phase: held ? "Bound" : "Released",
      observedGeneration: generation,
      conditions: mergeConditions(
        lease.status?.conditions,
        [condition("Bound", held ? "True" : "False", held ? "Bound" : "Released")],
        timestamp(clock),
      ),
    };
    await store.updateStatus("VirtualMachineIPAddressLease", { ...lease, status });
    if (!held) return { requeueAfter: RETENTION };
  }
}
