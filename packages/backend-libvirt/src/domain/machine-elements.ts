import type { GuestMachine, GuestSpec } from "@polyvisor/core";
import type { XmlNode } from "../xml/render-xml.ts";

/** `kvm` where a host has it, else `qemu`: emulation. */
export type VirtType = "kvm" | "qemu";

/** True for guests of another age: an older chipset, and nothing that their systems cannot know. */
export function isLegacy({ osType }: GuestMachine): boolean {
  return osType === "legacy";
}

/** True when a guest has devices of virtio besides its disks and network cards: those need no driver to boot. */
export function hasVirtioExtras(machine: GuestMachine): boolean {
  return machine.paravirtualized || !isLegacy(machine);
}

/** The chipset, and what the guest boots with. Source: libvirt, "Domain XML format", Operating system booting. */
export function osElement(machine: GuestMachine): XmlNode {
  const type: XmlNode = [
    "type",
    { arch: "x86_64", machine: isLegacy(machine) ? "pc" : "q35" },
    "hvm",
  ];
  if (machine.firmware === "bios") return ["os", {}, type];
  const enabled = machine.firmware === "efi-secure-boot" ? "yes" : "no";
  return [
    "os",
    { firmware: "efi" },
    type,
    [
      "firmware",
      {},
      ["feature", { enabled, name: "secure-boot" }],
      ["feature", { enabled, name: "enrolled-keys" }],
    ],
  ];
}

/** Enlightenments are of KVM: an emulator has hardly any. */
export function featuresElement(machine: GuestMachine, virtType: VirtType): XmlNode {
  const isSecure = machine.firmware === "efi-secure-boot";
  return [
    "features",
    {},
    ["acpi", {}],
    ["apic", {}],
    machine.osType === "windows" && virtType === "kvm" ? HYPERV : undefined,
    isSecure ? ["smm", { state: "on" }] : undefined,
  ];
}

const on = { state: "on" };
const HYPERV: XmlNode = [
  "hyperv",
  { mode: "custom" },
  ["relaxed", on],
  ["vapic", on],
  ["spinlocks", { ...on, retries: 8191 }],
  ["vpindex", on],
  ["runtime", on],
  ["synic", on],
  ["stimer", on],
  ["reset", on],
  ["frequencies", on],
  ["tlbflush", on],
  ["ipi", on],
];

/** Windows takes the clock of the computer for local time, and keeps it better with these timers. */
export function clockElement({ osType }: GuestMachine, virtType: VirtType): XmlNode {
  if (osType !== "windows") return ["clock", { offset: "utc" }];
  return [
    "clock",
    { offset: "localtime" },
    ["timer", { name: "rtc", tickpolicy: "catchup" }],
    ["timer", { name: "pit", tickpolicy: "delay" }],
    ["timer", { name: "hpet", present: "no" }],
    virtType === "kvm" ? ["timer", { name: "hypervclock", present: "yes" }] : undefined,
  ];
}

/** Holds each virtual CPU to its share of a core. Source: libvirt, "Domain XML format", CPU Tuning. */
export function tuneElement({
  fractionPercent,
  sockets,
  coresPerSocket,
}: GuestSpec["cpu"]): XmlNode | undefined {
  if (fractionPercent >= 100) return undefined;
  const period = 100_000;
  const quota = Math.ceil((period * fractionPercent) / 100);
  // 1024 stand for a whole core; the kernel takes weights of 2 to 10,000.
  const shares = Math.round((1024 * sockets * coresPerSocket * fractionPercent) / 100);
  return [
    "cputune",
    {},
    ["shares", {}, Math.min(Math.max(shares, 2), 10_000)],
    ["period", {}, period],
    ["quota", {}, quota],
  ];
}
