import type { VirtualMachine } from "../api/virtual-machine.ts";
import { parseQuantity } from "../util/quantity.ts";
import { holdsDisks } from "./disk-users.ts";
import type { Caches } from "./runtime/caches.ts";

/** How much memory the guests of each host have been promised. Follows the VMs. */
export class MemoryLedger {
  readonly #promised = new Map<string, number>();

  constructor(caches: Caches) {
    caches.of("VirtualMachine").onChange((previous, next) => {
      if (previous) this.#book(previous, -1);
      if (next) this.#book(next, 1);
    });
  }

  /** Bytes by the name of the host. */
  get promisedBytes(): ReadonlyMap<string, number> {
    return this.#promised;
  }

  #book(vm: VirtualMachine, sign: 1 | -1): void {
    const record = vm.status?.guest;
    if (record?.host === undefined || !holdsDisks(vm)) return;
    const bytes = parseQuantity((record.appliedSpec ?? vm.spec).memory.size);
    this.#promised.set(record.host, (this.#promised.get(record.host) ?? 0) + sign * bytes);
  }
}
