import type { VirtualMachine } from "../api/virtual-machine.ts";
import { requestedMillicores } from "../machine/machine-resources.ts";
import type { PlacedMachine } from "../placement/placement-terms.ts";
import { parseQuantity } from "../util/quantity.ts";
import { holdsDisks } from "./disk-users.ts";
import type { Caches } from "./runtime/caches.ts";

/** What guests on a host have been promised. */
export interface Promised {
  readonly memoryBytes: number;
  readonly millicores: number;
}

interface Booking {
  readonly hosts: readonly string[];
  readonly promised: Promised;
  readonly placed: PlacedMachine | undefined;
  readonly target: string | undefined;
}

const NOTHING: Promised = { memoryBytes: 0, millicores: 0 };

/** What the guests of each host have been promised, and which VMs are where. Follows the VMs. */
export class CapacityLedger {
  readonly #promised = new Map<string, Promised>();
  readonly #bookings = new Map<string, Booking>();
  /** Promises of which the cache of VMs does not know yet, by the uid of the VM. */
  readonly #reserved = new Map<string, Booking>();
  readonly #antiAffine = new Set<string>();

  constructor(caches: Caches) {
    caches.of("VirtualMachine").onChange((previous, next) => {
      if (previous) this.#drop(previous.metadata.uid);
      if (next) this.#book(next);
    });
  }

  /** What has been promised on a host. */
  on(host: string): Promised {
    return this.#promised.get(host) ?? NOTHING;
  }

  /** VMs that have a place, those included that are about to be stored as starting. */
  *machines(): Generator<PlacedMachine> {
    for (const { placed } of this.#bookings.values()) if (placed) yield placed;
    for (const { placed } of this.#reserved.values()) if (placed) yield placed;
  }

  /** Those of them with required anti-affinity. */
  *antiAffine(): Generator<PlacedMachine> {
    for (const uid of this.#antiAffine) {
      const placed = (this.#reserved.get(uid) ?? this.#bookings.get(uid))?.placed;
      if (placed) yield placed;
    }
  }

  /** How many guests are on their way to a host. */
  inbound(host: string): number {
    const all = [...this.#bookings.values(), ...this.#reserved.values()];
    return all.filter(({ target }) => target === host).length;
  }

  /** Promises a place to a VM that is about to be stored with it: at once, since the next decision must count on it. */
  reserve(vm: VirtualMachine, host: string): void {
    const { uid } = vm.metadata;
    this.cancel(uid);
    const booking = { ...bookingOf(vm, [host]), target: undefined };
    this.#reserved.set(uid, booking);
    this.#count(booking, 1);
    this.#note(uid, booking);
  }

  /** Takes back what was reserved, if that is still so. */
  cancel(uid: string): void {
    const reserved = this.#reserved.get(uid);
    if (reserved === undefined) return;
    this.#reserved.delete(uid);
    this.#count(reserved, -1);
    this.#note(uid, this.#bookings.get(uid));
  }

  #book(vm: VirtualMachine): void {
    const { host, migration } = vm.status?.guest ?? {};
    if (host === undefined || !holdsDisks(vm)) return;
    const { uid } = vm.metadata;
    const { target } = migration ?? {};
    // Both hosts of a migration need what the guest needs.
    const hosts = target === undefined || target === host ? [host] : [host, target];
    if (hosts.some((name) => this.#reserved.get(uid)?.hosts.includes(name))) this.cancel(uid);
    const booking = { ...bookingOf(vm, hosts), target };
    this.#bookings.set(uid, booking);
    this.#count(booking, 1);
    this.#note(uid, booking);
  }

  #drop(uid: string): void {
    const booking = this.#bookings.get(uid);
    if (booking === undefined) return;
    this.#bookings.delete(uid);
    this.#count(booking, -1);
    this.#note(uid, this.#reserved.get(uid));
  }

  #count({ hosts, promised }: Booking, sign: 1 | -1): void {
    for (const host of hosts) {
      const { memoryBytes, millicores } = this.on(host);
      this.#promised.set(host, {
        memoryBytes: memoryBytes + sign * promised.memoryBytes,
        millicores: millicores + sign * promised.millicores,
      });
    }
  }

  #note(uid: string, booking: Booking | undefined): void {
    const apart = booking?.placed?.affinity?.virtualMachineAndPodAntiAffinity;
    const required = apart?.requiredDuringSchedulingIgnoredDuringExecution;
    if (required?.length) this.#antiAffine.add(uid);
    else this.#antiAffine.delete(uid);
  }
}

function bookingOf(vm: VirtualMachine, hosts: readonly string[]): Omit<Booking, "target"> {
  const spec = vm.status?.guest?.appliedSpec ?? vm.spec;
  const { name, namespace = "", labels = {} } = vm.metadata;
  const [host] = hosts;
  const { affinity } = spec;
  return {
    hosts,
    promised: {
      memoryBytes: parseQuantity(spec.memory.size),
      millicores: requestedMillicores(spec.cpu),
    },
    placed:
      host === undefined
        ? undefined
        : { name, namespace, labels, host, ...(affinity && { affinity }) },
  };
}
