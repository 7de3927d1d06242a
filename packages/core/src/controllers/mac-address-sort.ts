import { V1ALPHA2 } from "../api/meta.ts";
import { MODULE_CONFIG_NAME } from "../api/module-config.ts";
import {
  macLeaseName,
  type VirtualMachineMACAddressLease,
} from "../api/virtual-machine-mac-address.ts";
import type { VirtualMachine } from "../api/virtual-machine.ts";
import { MacPool, platformOui } from "../ipam/mac-pool.ts";
import { parseMac } from "../util/mac-address.ts";
import type { RandomSource } from "../util/random-source.ts";
import type { AddressLease, AddressSort } from "./address-sort.ts";
import type { ControllerContext } from "./controller-context.ts";
import { FINALIZERS } from "./finalizers.ts";

/** Names the VMs that use a MAC address: an index of the cache of VMs. */
export const MACHINES_BY_MAC = "mac";

/** The MAC addresses that a VM names, and those that its guest was built with. */
function macNames({ spec, status }: VirtualMachine): string[] {
  const applied = status?.guest?.state === "Stopped" ? [] : status?.guest?.appliedSpec?.networks;
  const named = [...(spec.networks ?? []), ...(applied ?? [])].flatMap(
    ({ virtualMachineMACAddressName: name }) => name ?? [],
  );
  return [...new Set(named)];
}

/** MAC addresses: random ones with the platform's own first three bytes, or those that are asked for. */
export function macAddresses(
  { caches, store }: ControllerContext,
  random: RandomSource,
): AddressSort {
  const leases = caches.of("VirtualMachineMACAddressLease");
  let pool: MacPool | undefined;
  leases.onChange((previous, next) => {
    if (next) pool?.take(leaseAddress(next.metadata.name));
    else if (previous) pool?.release(leaseAddress(previous.metadata.name));
  });
  /** Made when the first address is given out: few platforms give out any. */
  const poolOf = (): MacPool | undefined => {
    const identity = caches.of("ModuleConfig").get(MODULE_CONFIG_NAME)?.metadata.uid;
    if (pool === undefined && identity !== undefined) {
      pool = new MacPool(platformOui(identity), random);
      for (const { metadata } of leases.values()) pool.take(leaseAddress(metadata.name));
    }
    return pool;
  };
  const asMac = (lease: AddressLease): VirtualMachineMACAddressLease =>
    lease as VirtualMachineMACAddressLease;
  return {
    kind: "VirtualMachineMACAddress",
    leaseKind: "VirtualMachineMACAddressLease",
    finalizer: FINALIZERS.macAddress,
    machineIndex: MACHINES_BY_MAC,
    namesOf: macNames,
    leaseName: macLeaseName,
    leaseAddress,
    wantedOf: (claim) =>
      claim.kind === "VirtualMachineMACAddress" && claim.spec.address !== undefined
        ? parseMac(claim.spec.address)
        : undefined,
    refusalOf: () => undefined,
    allocate: () => poolOf()?.allocate(),
    take: (address) => pool?.take(address),
    release: (address) => {
      if (leases.get(macLeaseName(address)) === undefined) pool?.release(address);
    },
    exhaustion: () => ({
      reason: "VirtualMachineMACAddressLeaseNotReady",
      message: "Failed to allocate new MAC address: none is left: set spec.address.",
    }),
    holderOf: (lease) => asMac(lease).spec.virtualMachineMACAddressRef,
    newLease: (name, holder) => ({
      apiVersion: V1ALPHA2,
      kind: "VirtualMachineMACAddressLease",
      metadata: { name },
      spec: { virtualMachineMACAddressRef: holder },
    }),
    withHolder: (lease, holder) => ({
      ...asMac(lease),
      spec: { virtualMachineMACAddressRef: holder },
    }),
    giveUp: async ({ metadata }) => {
      const { name, uid, resourceVersion } = metadata;
      await store.delete("VirtualMachineMACAddressLease", { name }, { uid, resourceVersion });
    },
  };
}

/** The address that a lease stands for. */
function leaseAddress(name: string): string {
  return name.replace(/^mac-/, "").replaceAll("-", ":");
}
