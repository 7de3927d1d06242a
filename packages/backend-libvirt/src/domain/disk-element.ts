import type { BlockSource, GuestDisk, GuestMachine } from "@polyvisor/core";
import type { XmlNode } from "../xml/render-xml.ts";
import { diskAlias } from "./device-alias.ts";
import { isLegacy } from "./machine-elements.ts";

/** How a disk is connected. */
type DiskBus = "scsi" | "sata" | "virtio" | "ide";

/** Where a disk is connected. */
export interface DiskPlace {
  readonly bus: DiskBus;
  /** Counts from 0 among the disks whose targets have the same prefix. */
  readonly index: number;
}

const PREFIXES: Readonly<Record<DiskBus, string>> = {
  scsi: "sd",
  sata: "sd",
  virtio: "vd",
  ide: "hd",
};

/** The bus for a disk or CD-ROM that a guest has from its start. */
function diskBus(machine: GuestMachine, device: GuestDisk["device"]): DiskBus {
  if (!isLegacy(machine)) return machine.paravirtualized ? "scsi" : "sata";
  return machine.paravirtualized && device === "disk" ? "virtio" : "ide";
}

/** The places of disks and CD-ROMs, in their order. */
export function diskPlaces(
  machine: GuestMachine,
  devices: readonly GuestDisk["device"][],
): DiskPlace[] {
  const used = new Map<string, number>();
  return devices.map((device) => {
    const bus = diskBus(machine, device);
    const index = used.get(PREFIXES[bus]) ?? 0;
    used.set(PREFIXES[bus], index + 1);
    return { bus, index };
  });
}

/** `sda`, …, `sdz`, `sdaa`, … */
export function diskTarget({ bus, index }: DiskPlace): string {
  let letters = "";
  for (let rest = index; rest >= 0; rest = Math.floor(rest / 26) - 1) {
    letters = String.fromCharCode("a".charCodeAt(0) + (rest % 26)) + letters;
  }
  return PREFIXES[bus] + letters;
}

/** A disk or CD-ROM of a guest. */
export function diskElement(disk: GuestDisk, place: DiskPlace): XmlNode {
  const { type, format, source } = sourceOf(disk.source);
  return [
    "disk",
    { type, device: disk.device },
    ["driver", { name: "qemu", type: format, discard: disk.readOnly ? undefined : "unmap" }],
    source,
    ["target", { dev: diskTarget(place), bus: place.bus }],
    disk.readOnly ? ["readonly", {}] : undefined,
    ["serial", {}, disk.serial],
    disk.bootOrder === undefined ? undefined : ["boot", { order: disk.bootOrder }],
    ["alias", { name: diskAlias(disk.name) }],
    addressElement(place),
  ];
}

/** A CD-ROM of our own making, such as that for cloud-init. */
export function mediumElement(path: string, place: DiskPlace): XmlNode {
  return [
    "disk",
    { type: "file", device: "cdrom" },
    ["driver", { name: "qemu", type: "raw" }],
    ["source", { file: path }],
    ["target", { dev: diskTarget(place), bus: place.bus }],
    ["readonly", {}],
    addressElement(place),
  ];
}

/** All on one controller: libvirt would give every few a controller, for which a running guest has no place. */
function addressElement({ bus, index }: DiskPlace): XmlNode | undefined {
  if (bus !== "scsi") return undefined;
  return ["address", { type: "drive", controller: 0, bus: 0, target: 0, unit: index }];
}

function sourceOf(source: BlockSource): { type: string; format: string; source: XmlNode } {
  switch (source.type) {
    case "file":
      return { type: "file", format: source.format, source: ["source", { file: source.path }] };
    case "block":
      return { type: "block", format: "raw", source: ["source", { dev: source.path }] };
    case "claim":
      throw new TypeError("libvirt hosts take no claims: they are not in the capabilities");
  }
}
