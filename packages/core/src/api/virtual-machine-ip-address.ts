import * as z from "zod";
import type { Condition } from "./conditions.ts";
import type { KindDefinition } from "./kind.ts";
import { type Resource, V1ALPHA2 } from "./meta.ts";
import { admitAddress } from "./virtual-machine-ip-address-admission.ts";

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

/** The kind {@link VirtualMachineIPAddress}. */
export const VIRTUAL_MACHINE_IP_ADDRESS: KindDefinition<
  VirtualMachineIPAddress,
  VirtualMachineIPAddressInput
> = {
  apiVersion: V1ALPHA2,
  kind: "VirtualMachineIPAddress",
  plural: "virtualmachineipaddresses",
  shortNames: ["vmip"],
  categories: ["virtualization"],
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
  categories: ["virtualization-cluster"],
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
      value: ({ spec: { virtualMachineIPAddressRef: ref } }) =>
        ref && JSON.stringify(ref, ["name", "namespace"]),
    },
    { name: "Status", value: (lease) => lease.status?.phase },
  ],
};
