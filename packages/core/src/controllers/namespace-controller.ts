import { mergeConditions } from "../api/conditions.ts";
import { type Kind, KINDS } from "../api/kinds.ts";
import { keyOf } from "../api/meta.ts";
import { NAMESPACE_FINALIZER, type Namespace, type NamespaceStatus } from "../api/namespace.ts";
import { condition } from "../machine/machine-conditions.ts";
import { timestamp } from "../util/clock.ts";
import { isPolyvisorError } from "../util/errors.ts";
import type { ControllerContext, RunnableController } from "./controller-context.ts";
import { withFinalizer, withoutFinalizer } from "./finalizers.ts";
import { Controller, type ReconcileResult } from "./runtime/controller.ts";

/** How often a namespace that is being deleted is looked at, in milliseconds. */
const INTERVAL = 1000;

/**
 * In which order the content of a namespace goes: what makes others goes before them, and users go before what they
 * use, so that nothing is made again and nothing is held up.
 */
const FIRST: readonly (readonly Kind[])[] = [
  ["VirtualMachinePool"],
  ["VirtualMachineOperation", "VirtualMachineSnapshotOperation"],
  ["VirtualMachineBlockDeviceAttachment"],
  ["VirtualMachine"],
  ["VirtualMachineSnapshot"],
  ["VirtualDiskSnapshot"],
  ["VirtualDisk"],
  ["VirtualImage"],
  ["VirtualMachineIPAddress", "VirtualMachineMACAddress"],
];

const REST = (Object.keys(KINDS) as Kind[]).filter(
  (kind) => KINDS[kind].namespaced && !FIRST.flat().includes(kind),
);

/** Shows namespaces as active, and empties those that are being deleted. */
export class NamespaceController implements RunnableController {
  readonly name = "Namespace controller";
  readonly #context: ControllerContext;
  readonly #controller: Controller;

  constructor(context: ControllerContext) {
    this.#context = context;
    const { caches, clock, logger } = context;
    this.#controller = new Controller({
      name: this.name,
      clock,
      logger,
      concurrency: 2,
      reconcile: (name) => this.#reconcile(name),
    });
    caches.onChange("Namespace", ({ metadata }) => this.#controller.enqueue(keyOf(metadata)));
  }

  run(signal: AbortSignal): Promise<void> {
    return this.#controller.run(signal);
  }

  async #reconcile(name: string): Promise<ReconcileResult | void> {
    const { store } = this.#context;
    const namespace = await store.get("Namespace", { name });
    if (namespace === undefined) return;
    if (namespace.metadata.deletionTimestamp === undefined) {
      const kept = await withFinalizer(store, namespace, NAMESPACE_FINALIZER);
      await this.#write(kept, { phase: "Active", conditions: [] });
      return;
    }
    for (const kinds of [...FIRST, REST]) {
      const counts = await Promise.all(kinds.map((kind) => this.#empty(kind, name)));
      if (counts.every((count) => count === 0)) continue;
      const remaining = kinds.flatMap((kind, index) =>
        counts[index] === 0 ? [] : `${KINDS[kind].plural} has ${counts[index]} resource instances`,
      );
      const message = `Some resources are remaining: ${remaining.join(", ")}`;
      const input = condition("NamespaceContentRemaining", "True", "SomeResourcesRemain", message);
      await this.#write(namespace, {
        phase: "Terminating",
        conditions: mergeConditions(
          namespace.status?.conditions,
          [input],
          timestamp(this.#context.clock),
        ),
      });
      return { requeueAfter: INTERVAL };
    }
    await withoutFinalizer(store, namespace, NAMESPACE_FINALIZER);
  }

  /** Asks for the deletion of everything of a kind; gives how much there still is. */
  async #empty(kind: Kind, namespace: string): Promise<number> {
    const { store } = this.#context;
    const { items } = await store.list(kind, { namespace });
    for (const { metadata } of items) {
      if (metadata.deletionTimestamp !== undefined) continue;
      try {
        await store.delete(kind, metadata, { uid: metadata.uid });
      } catch (error) {
        if (!isPolyvisorError(error, "POLYVISOR_NOT_FOUND")) throw error;
      }
    }
    return items.length;
  }

  async #write(namespace: Namespace, status: NamespaceStatus): Promise<void> {
    await this.#context.store.updateStatus("Namespace", { ...namespace, status });
  }
}
