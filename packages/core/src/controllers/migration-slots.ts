import { keyOf } from "../api/meta.ts";
import type { VirtualMachineOperation } from "../api/virtual-machine-operation.ts";
import type { VirtualMachine } from "../api/virtual-machine.ts";
import type { ControllerContext } from "./controller-context.ts";
import { currentMigrationLimits } from "./current-settings.ts";

/** Counts the migrations that have been let through, so that there are not too many at once. */
export class MigrationSlots {
  readonly #context: ControllerContext;
  /** The node that each one leaves, by the uid of the operation. */
  readonly #taken = new Map<string, string>();
  /** Keys of operations that wait. */
  readonly #waiting = new Set<string>();

  /** @param retry Told of operations that have waited and may try again. */
  constructor(context: ControllerContext, retry: (key: string) => void) {
    this.#context = context;
    context.caches.of("VirtualMachineOperation").onChange((previous, next) => {
      if (next !== undefined && isUnderWay(next)) return this.#restore(next);
      const uid = (next ?? previous)?.metadata.uid ?? "";
      if (!isUnderWay(previous) || !this.#taken.delete(uid)) return;
      const waiting = [...this.#waiting];
      this.#waiting.clear();
      waiting.forEach(retry);
    });
  }

  /** Takes a slot for an operation; false when there is none. */
  take({ metadata }: VirtualMachineOperation, vm: VirtualMachine): boolean {
    const { perNode, total } = currentMigrationLimits(this.#context.caches);
    const node = vm.status?.nodeName ?? "";
    const fromNode = [...this.#taken.values()].filter((taken) => taken === node).length;
    const isFree = fromNode < perNode && this.#taken.size < total;
    if (isFree || this.#taken.has(metadata.uid)) this.#taken.set(metadata.uid, node);
    else this.#waiting.add(keyOf(metadata));
    return this.#taken.has(metadata.uid);
  }

  /** After a restart of the manager those that are under way are counted again. */
  #restore({ metadata, spec }: VirtualMachineOperation): void {
    if (this.#taken.has(metadata.uid)) return;
    const key = `${metadata.namespace}/${spec.virtualMachineName}`;
    const status = this.#context.caches.of("VirtualMachine").get(key)?.status;
    const node = status?.guest?.migration?.source ?? status?.nodeName ?? "";
    this.#taken.set(metadata.uid, node);
  }
}

function isUnderWay(operation: VirtualMachineOperation | undefined): boolean {
  const type = operation?.spec.type;
  const phase = operation?.status?.phase;
  const isMigration = type === "Migrate" || type === "Evict";
  return isMigration && (phase === "InProgress" || phase === "Terminating");
}
