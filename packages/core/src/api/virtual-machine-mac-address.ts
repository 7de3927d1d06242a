import * as z from "zod";
import { phaseColumn } from "./columns.ts";
import type { Condition } from "./conditions.ts";
import type { AdmissionContext, AdmissionIssue, KindDefinition } from "./kind.ts";
import { keyOf, type Resource, V1ALPHA2 } from "./meta.ts";

/** The claim of a namespace to a MAC address. */
export interface VirtualMachineMACAddress extends Resource {
  readonly kind: "VirtualMachineMACAddress";
  readonly spec: VirtualMachineMACAddressSpec;
  readonly status?: VirtualMachineMACAddressStatus;
}

/** What a user wants of a {@link VirtualMachineMACAddress}. */
export interface VirtualMachineMACAddressSpec {
  /** Default: one that is free. */
  readonly address?: string;
}

/** What a user writes of a {@link VirtualMachineMACAddress}. */
export interface VirtualMachineMACAddressInput {
  readonly spec?: VirtualMachineMACAddressSpec | undefined;
}

/** What is known about a {@link VirtualMachineMACAddress}. */
export interface VirtualMachineMACAddressStatus {
  readonly phase: "Pending" | "Bound" | "Attached";
  readonly address?: string;
  readonly virtualMachineName?: string;
  readonly conditions: readonly Condition[];
  readonly observedGeneration: number;
}

/** The fact that a MAC address is taken; its name is made from the address, so there is one at most. */
export interface VirtualMachineMACAddressLease extends Resource {
  readonly kind: "VirtualMachineMACAddressLease";
  readonly spec: VirtualMachineMACAddressLeaseSpec;
  readonly status?: VirtualMachineMACAddressLeaseStatus;
}

/** Who holds a lease. */
export interface VirtualMachineMACAddressLeaseSpec {
  readonly virtualMachineMACAddressRef?: { readonly name: string; readonly namespace: string };
}

/** What is written of a {@link VirtualMachineMACAddressLease}. */
export interface VirtualMachineMACAddressLeaseInput {
  readonly spec?: VirtualMachineMACAddressLeaseSpec | undefined;
}

/** What is known about a {@link VirtualMachineMACAddressLease}. */
export interface VirtualMachineMACAddressLeaseStatus {
  readonly phase: "Bound";
  readonly conditions: readonly Condition[];
  readonly observedGeneration: number;
}

/** `mac-00-1a-2b-3c-4d-5e` for `00:1A:2B:3C:4D:5E`. Source: DVP, names of leases. */
export function macLeaseName(address: string): string {
  return `mac-${address.toLowerCase().replaceAll(":", "-")}`;
}

async function admitMacAddress(
  next: VirtualMachineMACAddress,
  { previous, get }: AdmissionContext<VirtualMachineMACAddress>,
): Promise<AdmissionIssue[]> {
  const { address } = next.spec;
  const field = "spec.address";
  const bound = previous?.status?.address;
  if (bound !== undefined) {
    if (address === previous?.spec.address || address?.toLowerCase() === bound) return [];
    return [
      {
        field,
        message: "the VirtualMachineMACAddress is in 'Bound' state -> address cannot be changed",
      },
    ];
  }
  if (address === undefined) return [];
  if ((Number.parseInt(address.slice(0, 2), 16) & 1) === 1) {
    return [
      {
        field,
        message: `${address} is a group address: choose one with an even first byte`,
      },
    ];
  }
  const lease = await get("VirtualMachineMACAddressLease", { name: macLeaseName(address) });
  const ref = lease?.spec.virtualMachineMACAddressRef;
  if (lease === undefined || (ref && keyOf(ref) === keyOf(next.metadata))) return [];
  return [
    {
      field,
      message: `the VirtualMachineMACAddress cannot be created: the specified MAC address ${address} has already been allocated and has not been released`,
    },
  ];
}

/** The kind {@link VirtualMachineMACAddress}. */
export const VIRTUAL_MACHINE_MAC_ADDRESS: KindDefinition<
  VirtualMachineMACAddress,
  VirtualMachineMACAddressInput
> = {
  apiVersion: V1ALPHA2,
  kind: "VirtualMachineMACAddress",
  plural: "virtualmachinemacaddresses",
  shortNames: ["vmmac"],
  categories: ["virtualization"],
  namespaced: true,
  schema: z.strictObject({
    spec: z
      .strictObject({
        address: z
          .string()
          .regex(
            /^([0-9A-Fa-f]{2}[:-]){5}[0-9A-Fa-f]{2}$/,
            'must be a MAC address such as "02:00:0a:42:0a:02"',
          )
          // One spelling, so that it can be compared.
          .transform((address) => address.toLowerCase().replaceAll("-", ":"))
          .exactOptional(),
      })
      .default({}),
  }),
  admit: admitMacAddress,
  columns: [
    { name: "Address", value: ({ status }) => status?.address },
    phaseColumn("Status"),
    { name: "VM", value: ({ status }) => status?.virtualMachineName },
  ],
};

/** The kind {@link VirtualMachineMACAddressLease}. */
export const VIRTUAL_MACHINE_MAC_ADDRESS_LEASE: KindDefinition<
  VirtualMachineMACAddressLease,
  VirtualMachineMACAddressLeaseInput
> = {
  apiVersion: V1ALPHA2,
  kind: "VirtualMachineMACAddressLease",
  plural: "virtualmachinemacaddressleases",
  shortNames: ["vmmacl", "vmmaclease"],
  categories: ["virtualization-cluster"],
  namespaced: false,
  schema: z.strictObject({
    spec: z
      .strictObject({
        virtualMachineMACAddressRef: z
          .strictObject({ name: z.string(), namespace: z.string() })
          .exactOptional(),
      })
      .default({}),
  }),
  columns: [
    {
      name: "VirtualMachineMACAddress",
      value: ({ spec: { virtualMachineMACAddressRef: ref } }) =>
        ref && JSON.stringify(ref, ["name", "namespace"]),
    },
    phaseColumn("Status"),
  ],
};
