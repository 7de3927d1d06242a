import { createHash } from "node:crypto";
import type { VirtualDisk } from "../api/virtual-disk.ts";
import type { ClassCpu, VirtualMachineClass } from "../api/virtual-machine-class.ts";
import { cpuTopology } from "../api/cpu-topology.ts";
import type { VirtualMachine } from "../api/virtual-machine.ts";
import type { BlockSource } from "../backend/block-source.ts";
import type { GuestCpuModel, GuestSpec } from "../backend/guest-spec.ts";
import { type AddressRange, gatewayOf, macAddressOf } from "../util/address-range.ts";
import { parseQuantity } from "../util/quantity.ts";

/** Everything that a guest is built from, looked up. */
export interface GuestParts {
  readonly vm: VirtualMachine;
  readonly incarnation: number;
  readonly vmClass: VirtualMachineClass;
  /** In the order of `spec.blockDeviceRefs`. */
  readonly disks: readonly { readonly disk: VirtualDisk; readonly source: BlockSource }[];
  readonly address: string;
  readonly range: AddressRange;
  readonly userData: string | undefined;
}

/** Puts a guest together. */
export function buildGuestSpec(parts: GuestParts): GuestSpec {
  const { vm, incarnation, vmClass, disks, address, range, userData } = parts;
  const { uid, name, namespace = "", labels } = vm.metadata;
  const gateway = gatewayOf(range);
  return {
    uid,
    incarnation,
    namespace,
    name,
    ...(labels && { labels }),
    machine: { osType: "generic", firmware: "bios", paravirtualized: true, tpm: false },
    cpu: {
      ...cpuTopology(vm.spec.cpu.cores),
      fractionPercent: Number.parseInt(vm.spec.cpu.coreFraction, 10),
      model: cpuModel(vmClass.spec.cpu),
    },
    memoryBytes: Math.ceil(parseQuantity(vm.spec.memory.size)),
    disks: disks.map(({ disk, source }, index) => ({
      name: `vd-${disk.metadata.name}`,
      serial: diskSerial(disk.metadata.uid),
      source,
      device: "disk",
      readOnly: false,
      bootOrder: index + 1,
    })),
    interfaces: [
      {
        cidr: range.cidr,
        ...(gateway !== undefined && { gateway }),
        mac: macAddressOf(address),
        address,
      },
    ],
    ...(userData !== undefined && {
      cloudInit: {
        userData,
        metaData: `instance-id: ${JSON.stringify(uid)}\nlocal-hostname: ${JSON.stringify(name)}\n`,
      },
    }),
  };
}

function cpuModel({ type, model = "", features = [] }: ClassCpu): GuestCpuModel {
  switch (type) {
    case "Host":
      return { mode: "host-model" };
    case "HostPassthrough":
      return { mode: "host-passthrough" };
    case "Model":
      return { mode: "model", model };
    case "Features":
    case "Discovery":
      return { mode: "features", features };
  }
}

/** Guests read at most 20 characters of a serial number, so a uid does not fit. */
function diskSerial(uid: string): string {
  return createHash("sha256").update(uid).digest("hex").slice(0, 20);
}
