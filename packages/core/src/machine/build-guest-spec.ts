import { cpuTopology } from "../api/cpu-topology.ts";
import type { VirtualMachineClass } from "../api/virtual-machine-class.ts";
import type { VirtualMachine } from "../api/virtual-machine.ts";
import type { BlockSource } from "../backend/block-source.ts";
import type { GuestSpec } from "../backend/guest-spec.ts";
import { type AddressRange, gatewayOf, macAddressOf } from "../util/address-range.ts";
import { parseQuantity } from "../util/quantity.ts";
import { guestCpuModel } from "./cpu-fit.ts";
import { type DeviceFacts, guestDisk } from "./guest-devices.ts";
import { guestMachine } from "./guest-needs.ts";
import { fractionPercent } from "./machine-resources.ts";
import type { ProvisioningData } from "./provisioning-decision.ts";

/** Everything that a guest is built from, looked up. */
export interface GuestParts {
  readonly vm: VirtualMachine;
  readonly incarnation: number;
  readonly vmClass: VirtualMachineClass;
  /** In the order of `spec.blockDeviceRefs`. */
  readonly devices: readonly { readonly device: DeviceFacts; readonly source: BlockSource }[];
  readonly address: string;
  readonly range: AddressRange;
  /** Default: the one that goes with the address. */
  readonly mac?: string;
  readonly provisioning: ProvisioningData;
}

/** Puts a guest together. */
export function buildGuestSpec(parts: GuestParts): GuestSpec {
  const { vm, incarnation, vmClass, devices, address, range, provisioning } = parts;
  const { uid, name, namespace = "", labels } = vm.metadata;
  const { userData, answerFiles } = provisioning;
  const gateway = gatewayOf(range);
  return {
    uid,
    incarnation,
    namespace,
    name,
    ...(labels && { labels }),
    machine: guestMachine(vm.spec),
    cpu: {
      ...cpuTopology(vm.spec.cpu.cores),
      fractionPercent: fractionPercent(vm.spec.cpu.coreFraction),
      model: guestCpuModel(vmClass.spec.cpu, vmClass.status?.cpuFeatures?.enabled),
    },
    memoryBytes: Math.ceil(parseQuantity(vm.spec.memory.size)),
    disks: devices.map(({ device, source }) => guestDisk(device, source, vm.spec.blockDeviceRefs)),
    interfaces: [
      {
        cidr: range.cidr,
        ...(gateway !== undefined && { gateway }),
        mac: parts.mac ?? macAddressOf(address),
        address,
      },
    ],
    ...(userData !== undefined && {
      cloudInit: {
        userData,
        metaData: `instance-id: ${JSON.stringify(uid)}\nlocal-hostname: ${JSON.stringify(name)}\n`,
      },
    }),
    ...(answerFiles !== undefined && { answerFiles }),
  };
}
