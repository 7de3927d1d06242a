import { mergeConditions } from "../api/conditions.ts";
import { keyOf } from "../api/meta.ts";
import { matchesLabels } from "../api/selectors.ts";
import type { VirtualMachineClassStatus } from "../api/virtual-machine-class.ts";
import { condition } from "../machine/machine-conditions.ts";
import { timestamp } from "../util/clock.ts";
import type { ControllerContext, RunnableController } from "./controller-context.ts";
import { Controller } from "./runtime/controller.ts";

/** Says of classes which nodes their VMs can run on. */
export class ClassController implements RunnableController {
  readonly name = "VirtualMachineClass controller";
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
    const classes = caches.of("VirtualMachineClass");
    caches.onChange("VirtualMachineClass", ({ metadata }) =>
      this.#controller.enqueue(keyOf(metadata)),
    );
    caches.onChange("Node", () => {
      for (const { metadata } of classes.values()) this.#controller.enqueue(keyOf(metadata));
    });
  }

  run(signal: AbortSignal): Promise<void> {
    return this.#controller.run(signal);
  }

  async #reconcile(name: string): Promise<void> {
    const { store, caches, clock } = this.#context;
    const vmClass = await store.get("VirtualMachineClass", { name });
    if (vmClass === undefined) return;
    const availableNodes = [...caches.of("Node").values()]
      .filter(({ metadata }) => matchesLabels(vmClass.spec.nodeSelector ?? {}, metadata.labels))
      .map(({ metadata }) => metadata.name)
      .sort();
    const found = availableNodes.length > 0;
    const { generation } = vmClass.metadata;
    const status: VirtualMachineClassStatus = {
      // A class of the hosts' own CPU suits whatever nodes there will be. Source: DVP, class readiness.
      phase: "Ready",
      availableNodes,
      observedGeneration: generation,
      conditions: mergeConditions(
        vmClass.status?.conditions,
        [
          {
            ...condition("Ready", "True", found ? "SuitableNodesFound" : "NoSuitableNodesFound"),
            observedGeneration: generation,
          },
        ],
        timestamp(clock),
      ),
    };
    await store.updateStatus("VirtualMachineClass", { ...vmClass, status });
  }
}
