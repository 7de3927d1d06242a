import * as z from "zod";
import { containingRange, isReserved } from "../util/address-range.ts";
import { formatAddress, parseAddress } from "../util/ip-address.ts";
import type { Condition } from "./conditions.ts";
import type { AdmissionContext, AdmissionIssue, KindDefinition } from "./kind.ts";
import { keyOf, type Resource, V1ALPHA2 } from "./meta.ts";

/** The claim of a namespace to an IP address. */
export interface VirtualMachineIPAddress extends Resource {
  readonly kind: "VirtualMachineIPAddress";
  readonly spec: VirtualMachineIPAddressSpec;
  readonly status?: VirtualMachineIPAddressStatus;
}

/** What a user wants of a {@link VirtualMachineIPAddress}. */
export interface VirtualMachineIPAddressSpec {
  /** `Auto`: the next free address. `Static`: the one in `staticIP`. */
  readonly type: "Auto" | "Static";
  readonly staticIP?: string;
}

/** What a user writes of a {@link VirtualMachineIPAddress}. */
export interface VirtualMachineIPAddressInput {
  readonly spec: VirtualMachineIPAddressSpec;
}

/** What is known about a {@link VirtualMachineIPAddress}. */
export interface VirtualMachineIPAddressStatus {
  readonly phase: "Pending" | "Bound" | "Attached";
  readonly address?: string;
  readonly virtualMachineName?: string;
  readonly conditions: readonly Condition[];
  readonly observedGeneration: number;
}

/** The fact that an address is taken; its name is made from the address, so there is one at most. */
export interface VirtualMachineIPAddressLease extends Resource {
  readonly kind: "VirtualMachineIPAddressLease";
  readonly spec: VirtualMachineIPAddressLeaseSpec;
  readonly status?: VirtualMachineIPAddressLeaseStatus;
}

/** Who holds a lease. The name is absent while it is kept for its namespace after its holder is gone. */
export interface VirtualMachineIPAddressLeaseSpec {
  readonly virtualMachineIPAddressRef?: { readonly name?: string; readonly namespace: string };
}

/** What is written of a {@link VirtualMachineIPAddressLease}. */
export interface VirtualMachineIPAddressLeaseInput {
  readonly spec?: VirtualMachineIPAddressLeaseSpec | undefined;
}

/** What is known about a {@link VirtualMachineIPAddressLease}. */
export interface VirtualMachineIPAddressLeaseStatus {
  readonly phase: "Bound" | "Released";
  readonly conditions: readonly Condition[];
  readonly observedGeneration: number;
}

/**
 * `ip-10-66-10-14` for `10.66.10.14` (source: DVP, names of leases); of IPv6 all eight groups without leading zeros, so
 * that each address has one name and the name is one that Kubernetes allows: `ip-fd00-66-10-0-0-0-0-2`.
 */
export function leaseName(address: string): string {
  const found = parseAddress(address);
  if (found?.family !== 6) return `ip-${address.replaceAll(".", "-")}`;
  const digits = found.value.toString(16).padStart(32, "0");
  const groups = digits.match(/.{4}/g) ?? [];
  return `ip-${groups.map((group) => group.replace(/^0{1,3}/, "")).join("-")}`;
}

/** The address that a lease stands for. */
export function leaseAddress(name: string): string {
  const parts = name.replace(/^ip-/, "").split("-");
  if (parts.length !== 8) return parts.join(".");
  const found = parseAddress(parts.join(":"));
  return found ? formatAddress(found) : parts.join(":");
}

/** True when anybody else than the claim holds the address. */
async function isTaken(
  address: string,
  { metadata }: VirtualMachineIPAddress,
  context: AdmissionContext<VirtualMachineIPAddress>,
): Promise<boolean> {
  const lease = await context.get("VirtualMachineIPAddressLease", { name: leaseName(address) });
  if (lease === undefined) return false;
  const ref = lease.spec.virtualMachineIPAddressRef;
  // A lease without a name is kept for its namespace, which may take it again.
  if (ref?.name === undefined) return ref?.namespace !== metadata.namespace;
  return `${ref.namespace}/${ref.name}` !== keyOf(metadata);
}

async function admitAddress(
  next: VirtualMachineIPAddress,
  context: AdmissionContext<VirtualMachineIPAddress>,
): Promise<AdmissionIssue[]> {
  const { type, staticIP } = next.spec;
  const { previous, virtualMachineCIDRs } = context;
  const field = "spec.staticIP";
  if (virtualMachineCIDRs.length === 0) {
    return [
      {
        field: "spec",
        message:
          "operations with VirtualMachineIPAddresses are forbidden: ModuleConfig/virtualization spec.settings.virtualMachineCIDRs field is not configured",
      },
    ];
  }
  if (type === "Auto") {
    if (staticIP === undefined) return [];
    return [
      {
        field,
        message: "an address of type Auto cannot have a staticIP: remove it or set type to Static",
      },
    ];
  }
  if (staticIP === undefined) {
    return [
      {
        field,
        message: "the 'Static IP' field should be set for the IP address with the 'Static' type",
      },
    ];
  }
  if (parseAddress(staticIP) === undefined) {
    return [
      {
        field,
        message: `the specified static IP address "${staticIP}" is not a valid textual representation of an IP address`,
      },
    ];
  }
  const bound = previous?.status?.address;
  if (bound !== undefined && bound !== staticIP) {
    return [
      {
        field,
        message: `the address is bound to ${bound} and cannot be changed to ${staticIP}: create another VirtualMachineIPAddress`,
      },
    ];
  }
  if (bound !== undefined) return [];
  const range = containingRange(virtualMachineCIDRs, staticIP);
  if (range === undefined) {
    return [
      {
        field,
        message: `the requested address ${staticIP} is out of the valid range: choose one in ${virtualMachineCIDRs.join(", ")}`,
      },
    ];
  }
  if (isReserved(range, staticIP)) {
    return [
      {
        field,
        message: `the requested address ${staticIP} is reserved in ${range.cidr} (network, gateway and broadcast address): choose another`,
      },
    ];
  }
  if (await isTaken(staticIP, next, context)) {
    return [
      {
        field,
        message: `the VirtualMachineIPAddress cannot be created: the specified IP address ${staticIP} has already been allocated and has not been released`,
      },
    ];
  }
  return [];
}

/** The kind {@link VirtualMachineIPAddress}. */
export const VIRTUAL_MACHINE_IP_ADDRESS: KindDefinition<
  VirtualMachineIPAddress,
  VirtualMachineIPAddressInput
> = {
  apiVersion: V1ALPHA2,
  kind: "VirtualMachineIPAddress",
  plural: "virtualmachineipaddresses",
  shortNames: ["vmip"],
  namespaced: true,
  schema: z.strictObject({
    spec: z.strictObject({
      type: z.enum(["Auto", "Static"]),
      staticIP: z.string().exactOptional(),
    }),
  }),
  admit: admitAddress,
  columns: [
    { name: "Address", value: (address) => address.status?.address },
    { name: "Status", value: (address) => address.status?.phase },
    { name: "VM", value: (address) => address.status?.virtualMachineName },
  ],
};

/** The kind {@link VirtualMachineIPAddressLease}. */
export const VIRTUAL_MACHINE_IP_ADDRESS_LEASE: KindDefinition<
  VirtualMachineIPAddressLease,
  VirtualMachineIPAddressLeaseInput
> = {
  apiVersion: V1ALPHA2,
  kind: "VirtualMachineIPAddressLease",
  plural: "virtualmachineipaddressleases",
  shortNames: ["vmipl", "vmiplease"],
  namespaced: false,
  schema: z.strictObject({
    spec: z
      .strictObject({
        virtualMachineIPAddressRef: z
          .strictObject({ name: z.string().exactOptional(), namespace: z.string() })
          .exactOptional(),
      })
      .default({}),
  }),
  columns: [
    {
      name: "VirtualMachineIPAddress",
      value: ({ spec: { virtualMachineIPAddressRef: ref } }) => ref && JSON.stringify(ref),
    },
    { name: "Status", value: (lease) => lease.status?.phase },
  ],
};
