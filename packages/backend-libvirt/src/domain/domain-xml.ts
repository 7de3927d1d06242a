import type { GuestSpec } from "@polyvisor/core";
import { renderXml } from "../xml/render-xml.ts";
import { cpuElement, type CpuMode } from "./cpu-element.ts";
import { deviceElements } from "./device-elements.ts";
import { diskElement, type DiskPlace, diskPlaces, mediumElement } from "./disk-element.ts";
import { domainName, renderMark } from "./domain-mark.ts";
import { interfaceElement } from "./interface-element.ts";
import {
  clockElement,
  featuresElement,
  osElement,
  tuneElement,
  type VirtType,
} from "./machine-elements.ts";

/** What of a host shows in the XML of its domains. */
export interface DomainEnvironment {
  readonly virtType: VirtType;
  readonly cpuModes: ReadonlySet<CpuMode>;
  /** Paths on the host of the CD-ROMs that are made for the guest, as for cloud-init. */
  readonly media: readonly string[];
  /** True for ranges whose guests are held to their addresses. */
  readonly isGuarded: (cidr: string) => boolean;
}

/**
 * The XML of a guest's domain. The guest's own reboot ends it, so that the next run is a new incarnation.
 *
 * @see libvirt, "Domain XML format"
 */
export function domainXml(
  spec: GuestSpec,
  { virtType, cpuModes, media, isGuarded }: DomainEnvironment,
): string {
  const { machine, cpu, disks, interfaces } = spec;
  const { sockets, coresPerSocket, model } = cpu;
  const places = diskPlaces(machine, [
    ...disks.map(({ device }) => device),
    ...media.map(() => "cdrom" as const),
  ]);
  const place = (index: number): DiskPlace => places[index] as DiskPlace;
  return renderXml([
    "domain",
    { type: virtType },
    ["name", {}, domainName(spec)],
    ["uuid", {}, spec.uid],
    ["metadata", {}, renderMark(spec)],
    ["memory", { unit: "b" }, spec.memoryBytes],
    ["vcpu", {}, sockets * coresPerSocket],
    tuneElement(cpu),
    osElement(machine),
    featuresElement(machine, virtType),
    cpuElement(model, { sockets, coresPerSocket }, cpuModes),
    clockElement(machine, virtType),
    ["on_poweroff", {}, "destroy"],
    ["on_reboot", {}, "destroy"],
    ["on_crash", {}, "destroy"],
    [
      "devices",
      {},
      ...disks.map((disk, index) => diskElement(disk, place(index))),
      ...media.map((path, index) => mediumElement(path, place(disks.length + index))),
      ...interfaces.map((each) => interfaceElement(each, machine, isGuarded(each.cidr))),
      ...deviceElements(machine, virtType, interfaces.length),
    ],
  ]);
}
