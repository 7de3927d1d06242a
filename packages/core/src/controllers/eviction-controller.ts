import { createHash } from "node:crypto";
import { findCondition } from "../api/conditions.ts";
import { keyOf, V1ALPHA2 } from "../api/meta.ts";
import type { VirtualMachineOperation } from "../api/virtual-machine-operation.ts";
import type { VirtualMachine } from "../api/virtual-machine.ts";
import { nextEvictionAt } from "../operations/eviction-backoff.ts";
import { isPolyvisorError } from "../util/errors.ts";
import type { ControllerContext, RunnableController } from "./controller-context.ts";
import { machineEviction } from "./machine-changes.ts";
import { OPERATIONS_BY_MACHINE } from "./machine-operations.ts";
import { isOver } from "./operation-controller.ts";
import { Controller, type ReconcileResult } from "./runtime/controller.ts";

/** Makes the operations that move guests off nodes that they must leave. */
export class EvictionController implements RunnableController {
  readonly name = "Eviction controller";
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
      reconcile: (key) => this.#reconcile(key),
    });
    caches.onChange("VirtualMachine", (vm) => {
      if (isRequired(vm)) this.#controller.enqueue(keyOf(vm.metadata));
    });
    caches.onChange("VirtualMachineOperation", ({ metadata, spec }) => {
      const key = `${metadata.namespace}/${spec.virtualMachineName}`;
      const vm = caches.of("VirtualMachine").get(key);
      if (vm && isRequired(vm)) this.#controller.enqueue(key);
    });
  }

  run(signal: AbortSignal): Promise<void> {
    return this.#controller.run(signal);
  }

  async #reconcile(key: string): Promise<ReconcileResult | void> {
    const { caches, store, clock } = this.#context;
    const found = caches.of("VirtualMachine").get(key);
    const vm = found && (await store.get("VirtualMachine", found.metadata));
    if (vm === undefined || !isRequired(vm) || vm.metadata.deletionTimestamp !== undefined) return;
    const vmClass = caches
      .of("VirtualMachineClass")
      .get(vm.status?.guest?.appliedSpec?.virtualMachineClassName ?? "");
    const reason = machineEviction(vm, vm.status?.guest, vmClass, this.#context);
    const migratable = findCondition(vm.status?.conditions, "Migratable");
    // One that cannot be moved says so itself, and holds the node up.
    if (reason === undefined || migratable?.status !== "True") return;
    const all = caches.of("VirtualMachineOperation").findBy(OPERATIONS_BY_MACHINE, key);
    if (all.some(({ status }) => !isOver(status))) return;
    const own = all.filter(({ metadata }) => metadata.name.startsWith(reason.prefix));
    const next = nextEvictionAt(
      own.map(({ metadata, status }) => ({
        failed: status?.phase === "Failed",
        endedAt: Date.parse(
          findCondition(status?.conditions, "Completed")?.lastTransitionTime ??
            metadata.creationTimestamp,
        ),
      })),
    );
    const pause = next - clock.now();
    if (pause > 0) return { requeueAfter: pause };
    await this.#create(vm, `${reason.prefix}${vm.metadata.name}`, own);
  }

  async #create(
    { metadata }: VirtualMachine,
    prefix: string,
    own: readonly VirtualMachineOperation[],
  ): Promise<void> {
    // The same attempt has the same name, so that it is made once whatever the cache knows yet.
    const attempt = `${metadata.uid} ${own
      .map((one) => one.metadata.uid)
      .sort()
      .join(" ")}`;
    const suffix = createHash("sha256").update(attempt).digest("hex").slice(0, 5);
    const { name: virtualMachineName, namespace = "" } = metadata;
    try {
      await this.#context.store.create("VirtualMachineOperation", {
        apiVersion: V1ALPHA2,
        kind: "VirtualMachineOperation",
        metadata: { name: `${prefix}-${suffix}`, namespace },
        spec: { type: "Evict", virtualMachineName },
      });
    } catch (error) {
      if (!isPolyvisorError(error, "POLYVISOR_ALREADY_EXISTS")) throw error;
    }
  }
}

function isRequired({ status }: VirtualMachine): boolean {
  return findCondition(status?.conditions, "EvictionRequired")?.status === "True";
}
