import type { HypervisorCapabilities } from "@polyvisor/core";

/** What simulated hosts can do: everything. */
export function allCapabilities(
  placement: HypervisorCapabilities["placement"],
): HypervisorCapabilities {
  return {
    blockSources: placement === "explicit" ? ["file", "block"] : ["claim"],
    placement,
    guests: {
      osTypes: ["generic", "windows", "legacy"],
      firmware: ["bios", "efi", "efi-secure-boot"],
      tpm: true,
      emulatedDevices: true,
      cpuFraction: true,
      answerFiles: true,
    },
    consoles: { serial: true, vnc: true },
    migration: true,
    hotplug: true,
    agent: true,
  };
}
