import type { BlockSource, GuestDisk, GuestInterface, GuestSpec } from "@polyvisor/core";
import { networkName } from "../network/network-xml.ts";
import { renderXml, type XmlNode } from "../xml/render-xml.ts";
import { cpuElement, type CpuMode } from "./cpu-element.ts";
import { domainName, renderMark } from "./domain-mark.ts";

/** What of a host shows in the XML of its domains. */
export interface DomainEnvironment {
  /** `kvm` where the host has it, else `qemu`: emulation. */
  readonly virtType: "kvm" | "qemu";
  readonly cpuModes: ReadonlySet<CpuMode>;
  /** Path on the host of the image with the documents for cloud-init. */
  readonly seedPath: string | undefined;
}

/** The XML of a guest's domain. Source: libvirt, "Domain XML format". */
export function domainXml(spec: GuestSpec, environment: DomainEnvironment): string {
  const { virtType, cpuModes, seedPath } = environment;
  const { sockets, coresPerSocket, model } = spec.cpu;
  return renderXml([
    "domain",
    { type: virtType },
    ["name", {}, domainName(spec)],
    ["uuid", {}, spec.uid],
    ["metadata", {}, renderMark(spec)],
    ["memory", { unit: "b" }, spec.memoryBytes],
    ["vcpu", {}, sockets * coresPerSocket],
    tuneElement(spec.cpu.fractionPercent),
    ["os", {}, ["type", { arch: "x86_64", machine: "q35" }, "hvm"]],
    ["features", {}, ["acpi", {}], ["apic", {}]],
    cpuElement(model, { sockets, coresPerSocket }, cpuModes),
    ["clock", { offset: "utc" }],
    ["on_poweroff", {}, "destroy"],
    ["on_reboot", {}, "restart"],
    ["on_crash", {}, "destroy"],
    [
      "devices",
      {},
      ...spec.disks.map((disk, index) => diskElement(disk, diskTarget(index))),
      seedPath === undefined ? undefined : seedElement(seedPath, diskTarget(spec.disks.length)),
      ["controller", { type: "scsi", model: "virtio-scsi" }],
      ...spec.interfaces.map(interfaceElement),
      ["serial", { type: "pty" }, ["target", { port: 0 }]],
      ["console", { type: "pty" }, ["target", { type: "serial", port: 0 }]],
      ["channel", { type: "unix" }, ["target", { type: "virtio", name: "org.qemu.guest_agent.0" }]],
      ["video", {}, ["model", { type: "none" }]],
      ["rng", { model: "virtio" }, ["backend", { model: "random" }, "/dev/urandom"]],
      ["memballoon", { model: "virtio" }, ["stats", { period: 10 }]],
    ],
  ]);
}

/** Holds each virtual CPU to its share of a core. Source: libvirt, "Domain XML format", CPU Tuning. */
function tuneElement(fractionPercent: number): XmlNode | undefined {
  if (fractionPercent >= 100) return undefined;
  const period = 100_000;
  return [
    "cputune",
    {},
    ["period", {}, period],
    ["quota", {}, Math.ceil((period * fractionPercent) / 100)],
  ];
}

function diskElement(disk: GuestDisk, target: string): XmlNode {
  const { type, format, source } = sourceOf(disk.source);
  return [
    "disk",
    { type, device: disk.device },
    ["driver", { name: "qemu", type: format, discard: disk.readOnly ? undefined : "unmap" }],
    source,
    ["target", { dev: target, bus: "scsi" }],
    disk.readOnly ? ["readonly", {}] : undefined,
    ["serial", {}, disk.serial],
    ["boot", { order: disk.bootOrder }],
  ];
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

function seedElement(path: string, target: string): XmlNode {
  return [
    "disk",
    { type: "file", device: "cdrom" },
    ["driver", { name: "qemu", type: "raw" }],
    ["source", { file: path }],
    ["target", { dev: target, bus: "scsi" }],
    ["readonly", {}],
  ];
}

function interfaceElement({ cidr, mac }: GuestInterface): XmlNode {
  return [
    "interface",
    { type: "network" },
    ["mac", { address: mac }],
    ["source", { network: networkName(cidr) }],
    ["model", { type: "virtio" }],
  ];
}

/** `sda`, `sdb`, …: a guest has at most 17 of them. */
function diskTarget(index: number): string {
  return `sd${String.fromCharCode("a".charCodeAt(0) + index)}`;
}
