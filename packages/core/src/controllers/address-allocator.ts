import { leaseAddress, leaseName } from "../api/lease-name.ts";
import { AddressPool } from "../ipam/address-pool.ts";
import { parseRange } from "../util/address-range.ts";
import { jsonEquals } from "../util/json.ts";
import { currentSettings } from "./current-settings.ts";
import type { Caches } from "./runtime/caches.ts";

/** Gives out free addresses of the ranges in the settings; follows the leases. */
export class AddressAllocator {
  readonly #caches: Caches;
  #cidrs: readonly string[] = [];
  #pool = new AddressPool([]);

  constructor(caches: Caches) {
    this.#caches = caches;
    caches.of("VirtualMachineIPAddressLease").onChange((previous, next) => {
      if (next) this.#pool.take(leaseAddress(next.metadata.name));
      else if (previous) this.#pool.release(leaseAddress(previous.metadata.name));
    });
  }

  /** The lowest free address, which is not given out again until {@link release}; `undefined` when none is left. */
  allocate(): string | undefined {
    this.#followSettings();
    return this.#pool.allocate();
  }

  /** Marks an address as taken. */
  take(address: string): void {
    this.#pool.take(address);
  }

  /** Gives back an address for which there is no lease after all. */
  release(address: string): void {
    const leases = this.#caches.of("VirtualMachineIPAddressLease");
    if (leases.get(leaseName(address)) === undefined) this.#pool.release(address);
  }

  #followSettings(): void {
    const { virtualMachineCIDRs } = currentSettings(this.#caches);
    if (jsonEquals(virtualMachineCIDRs, this.#cidrs)) return;
    this.#cidrs = virtualMachineCIDRs;
    this.#pool = new AddressPool(virtualMachineCIDRs.map(parseRange));
    for (const { metadata } of this.#caches.of("VirtualMachineIPAddressLease").values()) {
      this.#pool.take(leaseAddress(metadata.name));
    }
  }
}
