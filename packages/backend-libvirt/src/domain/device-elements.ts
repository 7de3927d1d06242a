import type { GuestMachine } from "@polyvisor/core";
import type { XmlNode } from "../xml/render-xml.ts";
import { AGENT_CHANNEL } from "./domain-state.ts";
import { hasVirtioExtras, isLegacy, type VirtType } from "./machine-elements.ts";

/** Seconds between the guest's reports of how it uses its memory. */
const BALLOON_PERIOD = 10;

/** Ports that the devices below take, and those for network cards that come later. Older chipsets have free ones anyway. */
const OWN_PORTS = 6;
const SPARE_PORTS = 4;
const ROOT: XmlNode = ["controller", { type: "pci", index: 0, model: "pcie-root" }];
const PORT: XmlNode = ["controller", { type: "pci", model: "pcie-root-port" }];

/** What every guest of its sort has besides disks and network cards. */
export function deviceElements(
  machine: GuestMachine,
  virtType: VirtType,
  interfaces: number,
): XmlNode[] {
  const ports = OWN_PORTS + interfaces + SPARE_PORTS;
  const isModern = !isLegacy(machine);
  const isHyperv = machine.osType === "windows" && virtType === "kvm";
  const elements: (XmlNode | undefined)[] = [
    ...(isModern ? [ROOT, ...Array.from({ length: ports }, () => PORT)] : []),
    // Disks that come later are connected to it, whatever the others are.
    hasVirtioExtras(machine)
      ? ["controller", { type: "scsi", index: 0, model: "virtio-scsi" }]
      : undefined,
    ["serial", { type: "pty" }, ["target", { port: 0 }]],
    ["console", { type: "pty" }, ["target", { type: "serial", port: 0 }]],
    hasVirtioExtras(machine)
      ? ["channel", { type: "unix" }, ["target", { type: "virtio", name: AGENT_CHANNEL }]]
      : undefined,
    // Follows the pointer of a viewer; a mouse would have to be caught.
    ["input", { type: "tablet", bus: "usb" }],
    machine.tpm
      ? ["tpm", { model: "tpm-crb" }, ["backend", { type: "emulator", version: "2.0" }]]
      : undefined,
    ["graphics", { type: "vnc" }, ["listen", { type: "socket" }]],
    ["video", {}, ["model", { type: isModern ? "vga" : "cirrus" }]],
    isModern
      ? ["rng", { model: "virtio" }, ["backend", { model: "random" }, "/dev/urandom"]]
      : undefined,
    isModern ? ["watchdog", { model: "i6300esb", action: "reset" }] : undefined,
    isModern ? ["panic", { model: isHyperv ? "hyperv" : "isa" }] : undefined,
    hasVirtioExtras(machine)
      ? ["memballoon", { model: "virtio" }, ["stats", { period: BALLOON_PERIOD }]]
      : ["memballoon", { model: "none" }],
  ];
  return elements.filter((element) => element !== undefined);
}
