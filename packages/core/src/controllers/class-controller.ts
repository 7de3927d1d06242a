import { mergeConditions } from "../api/conditions.ts";
import { keyOf } from "../api/meta.ts";
import type { VirtualMachineClass } from "../api/virtual-machine-class.ts";
import { type ClassNode, decideClass } from "../machine/class-decision.ts";
import { condition } from "../machine/machine-conditions.ts";
import { timestamp } from "../util/clock.ts";
import { jsonEquals } from "../util/json.ts";
import type { ControllerContext, RunnableController } from "./controller-context.ts";
import { FINALIZERS, withFinalizer, withoutFinalizer } from "./finalizers.ts";
import { Controller } from "./runtime/controller.ts";

/** Names the VMs of a class: an index of the cache of VMs. */
const MACHINES_BY_CLASS = "class";

/** Finds out what CPU classes have and which nodes their VMs can run on. */
export class ClassController implements RunnableController {
  readonly name = "VirtualMachineClass controller";
  readonly #context: ControllerContext;
  readonly #controller: Controller;
  /** How many VMs each class has. */
  readonly #users = new Map<string, number>();

  constructor(context: ControllerContext) {
    this.#context = context;
    const { caches, clock, logger, fleet } = context;
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
    classes.onChange((previous, next) => {
      if (previous === undefined || next === undefined) return;
      if (jsonEquals(previous.spec.sizingPolicies, next.spec.sizingPolicies)) return;
      const message = "The sizing policies of the class were changed.";
      context.events.record(next, { reason: "SizingPoliciesWereChanged", message });
    });
    const enqueueAll = (): void => {
      for (const { metadata } of classes.values()) this.#controller.enqueue(keyOf(metadata));
    };
    caches.onChange("Node", enqueueAll);
    fleet.onHosts(enqueueAll);
    const machines = caches.of("VirtualMachine");
    machines.addIndex(MACHINES_BY_CLASS, ({ spec }) => [spec.virtualMachineClassName]);
    machines.onChange((previous, next) => {
      const [before, after] = [previous, next].map((vm) => vm?.spec.virtualMachineClassName);
      if (before === after) return;
      if (before !== undefined) this.#count(before, -1);
      if (after !== undefined) this.#count(after, 1);
    });
  }

  /** Only the first and the last VM of a class change what is said of it, and every one of a class that is to go. */
  #count(name: string, change: 1 | -1): void {
    const users = (this.#users.get(name) ?? 0) + change;
    this.#users.set(name, users);
    const vmClass = this.#context.caches.of("VirtualMachineClass").get(name);
    const leaving = vmClass?.metadata.deletionTimestamp !== undefined;
    if (users === 0 || (users === 1 && change === 1) || leaving) this.#controller.enqueue(name);
  }

  run(signal: AbortSignal): Promise<void> {
    return this.#controller.run(signal);
  }

  async #reconcile(name: string): Promise<void> {
    const { store, clock, caches } = this.#context;
    const stored = await store.get("VirtualMachineClass", { name });
    if (stored === undefined) return;
    const deleting = stored.metadata.deletionTimestamp !== undefined;
    const isUsed = (this.#users.get(name) ?? 0) > 0;
    if (deleting && !isUsed) return withoutFinalizer(store, stored, FINALIZERS.machineClass);
    const vmClass = deleting ? stored : await withFinalizer(store, stored, FINALIZERS.machineClass);
    const { conditions, ...decision } = decideClass(vmClass, this.#nodes());
    const { generation } = vmClass.metadata;
    const machines = deleting ? caches.of("VirtualMachine").findBy(MACHINES_BY_CLASS, name) : [];
    const message = deleting ? inUseMessage(machines.map(({ metadata }) => keyOf(metadata))) : "";
    const inUse = isUsed ? [condition("InUse", "True", "VirtualMachineClassInUse", message)] : [];
    const status: NonNullable<VirtualMachineClass["status"]> = {
      ...decision,
      ...(deleting && { phase: "Terminating" }),
      conditions: mergeConditions(
        vmClass.status?.conditions,
        [...conditions, ...inUse].map((input) => ({ ...input, observedGeneration: generation })),
        timestamp(clock),
      ),
      observedGeneration: generation,
    };
    if (jsonEquals(status, vmClass.status)) return;
    await store.updateStatus("VirtualMachineClass", { ...vmClass, status });
    this.#tell(vmClass, status);
  }

  #nodes(): ClassNode[] {
    const { caches, fleet } = this.#context;
    const nodes = caches.of("Node");
    return fleet.hosts().flatMap(({ name, cpu, cpus, memoryBytes }) => {
      const node = nodes.get(name);
      if (node === undefined) return [];
      return [{ name, labels: node.metadata.labels ?? {}, cpu, cpus, memoryBytes }];
    });
  }

  #tell(before: VirtualMachineClass, after: NonNullable<VirtualMachineClass["status"]>): void {
    const { events } = this.#context;
    const former = before.status?.availableNodes;
    if (former === undefined || jsonEquals(former, after.availableNodes)) return;
    const nodes = after.availableNodes;
    if (nodes.length === 0) {
      const message = "No node is left that VMs of the class can run on.";
      events.record(before, { reason: "AvailableNodesListEmpty", message, type: "Warning" });
    } else {
      const message = `VMs of the class can run on ${nodes.join(", ")}.`;
      events.record(before, { reason: "NodesWereUpdated", message });
    }
  }
}

function inUseMessage(machines: readonly string[]): string {
  const named = machines.slice(0, 3).join(", ");
  const more = machines.length > 3 ? ` and ${machines.length - 3} more` : "";
  return `The class is kept while VMs use it: ${named}${more}. Delete them or give them another class.`;
}
