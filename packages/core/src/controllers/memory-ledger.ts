import type { VirtualMachine } from "../api/virtual-machine.ts";
import { parseQuantity } from "../util/quantity.ts";
import { holdsDisks } from "./disk-users.ts";
import type { Caches } from "./runtime/caches.ts";

/** How much memory the guests of each host have been promised. Follows the VMs. */
export class MemoryLedger {
  readonly #promised = new Map<string, number>();
  /** Promises of which the cache of VMs does not know yet, by the uid of the VM. */
  readonly #reserved = new Map<string, { readonly host: string; readonly bytes: number }>();

  constructor(caches: Caches) {
    caches.of("VirtualMachine").onChange((previous, next) => {
      if (previous) this.#book(previous, -1);
      if (next) this.#book(next, 1);
    });
  }

  /** Promises memory to a VM that is about to be stored as starting. */
  reserve(uid: string, host: string, bytes: number): void {
    this.cancel(uid);
    this.#reserved.set(uid, { host, bytes });
    this.#add(host, bytes);
  }

  /** Takes back what was reserved, if that is still so. */
  cancel(uid: string): void {
    const reserved = this.#reserved.get(uid);
    if (reserved === undefined) return;
    this.#reserved.delete(uid);
    this.#add(reserved.host, -reserved.bytes);
  }

  /** Bytes by the name of the host. */
  get promisedBytes(): ReadonlyMap<string, number> {
    return this.#promised;
  }

  #book(vm: VirtualMachine, sign: 1 | -1): void {
    const record = vm.status?.guest;
    if (record?.host === undefined || !holdsDisks(vm)) return;
    if (sign === 1) this.cancel(vm.metadata.uid);
    const bytes = parseQuantity((record.appliedSpec ?? vm.spec).memory.size);
    this.#add(record.host, sign * bytes);
  }

  #add(host: string, bytes: number): void {
    this.#promised.set(host, (this.#promised.get(host) ?? 0) + bytes);
  }
}
