import type { VirtualMachineSpec } from "../api/virtual-machine.ts";
import type { BlockSourceType } from "../backend/block-source.ts";
import type { Firmware, GuestMachine, OsType } from "../backend/guest-spec.ts";
import type { HypervisorCapabilities } from "../backend/hypervisor.ts";

const OS_TYPES: Readonly<Record<VirtualMachineSpec["osType"], OsType>> = {
  Generic: "generic",
  Windows: "windows",
  Legacy: "legacy",
};

const FIRMWARE: Readonly<Record<VirtualMachineSpec["bootloader"], Firmware>> = {
  BIOS: "bios",
  EFI: "efi",
  EFIWithSecureBoot: "efi-secure-boot",
};

/** The sort of computer that a VM is. Source: DVP, "Block devices": Windows gets a TPM. */
export function guestMachine(spec: VirtualMachineSpec): GuestMachine {
  return {
    osType: OS_TYPES[spec.osType],
    firmware: FIRMWARE[spec.bootloader],
    paravirtualized: spec.enableParavirtualization,
    tpm: spec.osType === "Windows",
  };
}

/** Why a hypervisor cannot make the guest, after the name of one of its hosts: "cannot start guests with EFI". */
export function guestProblem(
  spec: VirtualMachineSpec,
  { guests, blockSources }: Pick<HypervisorCapabilities, "guests" | "blockSources">,
  sources: readonly (readonly BlockSourceType[])[],
): string | undefined {
  const machine = guestMachine(spec);
  if (!guests.osTypes.includes(machine.osType)) return `cannot run guests of osType ${spec.osType}`;
  if (!guests.firmware.includes(machine.firmware))
    return `cannot start guests with the bootloader ${spec.bootloader}`;
  if (machine.tpm && !guests.tpm) return "cannot give guests a TPM, which osType Windows needs";
  if (!machine.paravirtualized && !guests.emulatedDevices)
    return "cannot run guests with enableParavirtualization=false";
  if (spec.provisioning?.type === "SysprepRef" && !guests.answerFiles)
    return "cannot give guests the answer files of SysprepRef";
  const fits = sources.every((types) => types.some((type) => blockSources.includes(type)));
  return fits ? undefined : "cannot use the volumes of the VM's disks";
}
