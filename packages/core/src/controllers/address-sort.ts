import type {
  VirtualMachineIPAddress,
  VirtualMachineIPAddressLease,
} from "../api/virtual-machine-ip-address.ts";
import type {
  VirtualMachineMACAddress,
  VirtualMachineMACAddressLease,
} from "../api/virtual-machine-mac-address.ts";
import type { VirtualMachine } from "../api/virtual-machine.ts";
import type { AddressKind, LeaseHolder } from "../ipam/lease-decision.ts";
import type { NewResource } from "../store/resource-store.ts";

/** A claim to an address. */
export type AddressClaim = VirtualMachineIPAddress | VirtualMachineMACAddress;

/** The lease of an address. */
export type AddressLease = VirtualMachineIPAddressLease | VirtualMachineMACAddressLease;

/** What is different between IP and MAC addresses. */
export interface AddressSort {
  readonly kind: AddressKind;
  readonly leaseKind: `${AddressKind}Lease`;
  readonly finalizer: string;
  /** Names the index of VMs by the claims that they name. */
  readonly machineIndex: string;
  /** The claims that a VM names or has. */
  readonly namesOf: (vm: VirtualMachine) => readonly string[];
  readonly leaseName: (address: string) => string;
  readonly leaseAddress: (name: string) => string;
  /** The address that a claim asks for; `undefined` for any. */
  readonly wantedOf: (claim: AddressClaim) => string | undefined;
  /** Why an address cannot be leased, whoever asks. */
  readonly refusalOf: (
    address: string,
  ) => { readonly reason: string; readonly message: string } | undefined;
  /** A free address, which is not given out again until {@link release}; `undefined` when none is left. */
  readonly allocate: () => string | undefined;
  readonly take: (address: string) => void;
  readonly release: (address: string) => void;
  /** What is said when none is left. */
  readonly exhaustion: () => { readonly reason: string; readonly message: string };
  readonly holderOf: (lease: AddressLease) => LeaseHolder | undefined;
  readonly newLease: (name: string, holder: Required<LeaseHolder>) => NewResource<AddressLease>;
  readonly withHolder: (lease: AddressLease, holder: Required<LeaseHolder>) => AddressLease;
  /** Ends a lease with its holder, at once or after the retention. */
  readonly giveUp: (lease: AddressLease) => Promise<void>;
}
