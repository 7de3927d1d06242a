import { leaseAddress, leaseName } from "../api/lease-name.ts";
import { V1ALPHA2 } from "../api/meta.ts";
import type { VirtualMachineIPAddressLease } from "../api/virtual-machine-ip-address.ts";
import type { LeaseHolder } from "../ipam/lease-decision.ts";
import { containingRange } from "../util/address-range.ts";
import { formatAddress, parseAddress } from "../util/ip-address.ts";
import { AddressAllocator } from "./address-allocator.ts";
import type { AddressLease, AddressSort } from "./address-sort.ts";
import type { ControllerContext } from "./controller-context.ts";
import { currentSettings } from "./current-settings.ts";
import { FINALIZERS } from "./finalizers.ts";

/** Names the VMs that use an IP address: an index of the cache of VMs. */
export const MACHINES_BY_ADDRESS = "address";

/** IP addresses: of the ranges in the settings, and kept for their namespace for a while after their holder. */
export function ipAddresses({ caches, store }: ControllerContext): AddressSort {
  const allocator = new AddressAllocator(caches);
  const ranges = (): readonly string[] => currentSettings(caches).virtualMachineCIDRs;
  const settings = "spec.settings.virtualMachineCIDRs of ModuleConfig/virtualization";
  const kind = "VirtualMachineIPAddress";
  const asIp = (lease: AddressLease): VirtualMachineIPAddressLease =>
    lease as VirtualMachineIPAddressLease;
  const spec = (holder: LeaseHolder): VirtualMachineIPAddressLease["spec"] => ({
    virtualMachineIPAddressRef: holder,
  });
  return {
    kind,
    leaseKind: "VirtualMachineIPAddressLease",
    finalizer: FINALIZERS.address,
    machineIndex: MACHINES_BY_ADDRESS,
    namesOf: ({ status }) => {
      const name = status?.virtualMachineIPAddressName;
      return name === undefined ? [] : [name];
    },
    leaseName,
    leaseAddress,
    wantedOf: (claim) => {
      if (claim.kind !== kind || claim.spec.type !== "Static") return undefined;
      const found = parseAddress(claim.spec.staticIP ?? "");
      return found ? formatAddress(found) : claim.spec.staticIP;
    },
    refusalOf: (address) =>
      containingRange(ranges(), address) === undefined
        ? {
            reason: "VirtualMachineIPAddressIsOutOfTheValidRange",
            message: `The IP address "${address}" is out of the valid range.`,
          }
        : undefined,
    allocate: () => allocator.allocate(),
    take: (address) => allocator.take(address),
    release: (address) => allocator.release(address),
    exhaustion: () => {
      const hint =
        ranges().length === 0
          ? `no ranges are configured: set ${settings}`
          : `no remaining ips in ${ranges().join(", ")}: add a range to ${settings}`;
      return {
        reason: "VirtualMachineIPAddressLeaseNotReady",
        message: `Failed to allocate new IP address: ${hint}.`,
      };
    },
    holderOf: (lease) => asIp(lease).spec.virtualMachineIPAddressRef,
    newLease: (name, holder) => ({
      apiVersion: V1ALPHA2,
      kind: "VirtualMachineIPAddressLease",
      metadata: { name },
      spec: spec(holder),
    }),
    withHolder: (lease, holder) => ({ ...asIp(lease), spec: spec(holder) }),
    giveUp: async (lease) => {
      const namespace = asIp(lease).spec.virtualMachineIPAddressRef?.namespace ?? "";
      await store.update("VirtualMachineIPAddressLease", {
        ...asIp(lease),
        spec: spec({ namespace }),
      });
    },
  };
}
