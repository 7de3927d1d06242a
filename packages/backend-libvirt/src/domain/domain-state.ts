import type { GuestState, StopReason } from "@polyvisor/core";
import type { Element } from "@xmldom/xmldom";
import { attributeOf, childAt, childrenOf, parseXml, textAt } from "../xml/parse-xml.ts";
import { diskNameOf } from "./device-alias.ts";
import { type MigrationMark, readMigrationMark } from "../migration/migration-mark.ts";
import { type DomainMark, readMark } from "./domain-mark.ts";
import { frozenUntil, hasResetNote } from "./domain-notes.ts";

/** State numbers of libvirt, `virDomainState`. */
const POWER: Readonly<Record<number, GuestState["power"]>> = {
  1: "running",
  2: "running",
  3: "paused",
  4: "stopping",
  5: "stopped",
  6: "stopped",
  7: "paused",
};
const CRASHED = 6;

/** Reason numbers of libvirt, `virDomainShutoffReason`. */
const STOP_REASONS: Readonly<Record<number, StopReason>> = {
  1: "guest-shutdown",
  2: "stopped",
  3: "crashed",
  6: "start-failed",
};

/** The channel of the guest agent. */
export const AGENT_CHANNEL = "org.qemu.guest_agent.0";

/** A disk of ours in a domain. */
export interface DomainDisk {
  /** As in `GuestDisk.name`. */
  readonly name: string;
  readonly alias: string;
  /** Such as `sda`. */
  readonly target: string;
}

/** A network card of a domain. */
interface DomainInterface {
  readonly mac: string;
  readonly alias: string;
  /** Name of the network that it is on. */
  readonly network: string;
}

/** What the XML of a domain says about a guest. */
export interface DomainDescription {
  readonly uuid: string;
  readonly name: string;
  /** Absent for a guest that is not ours. */
  readonly mark: DomainMark | undefined;
  /** Of the last migration since the start. */
  readonly migration: MigrationMark | undefined;
  /** Its cards on networks of the host. */
  readonly interfaces: readonly DomainInterface[];
  /** Of all devices that have one. */
  readonly aliases: readonly string[];
  readonly disks: readonly DomainDisk[];
  /** Targets of all disks, of ours and of others, such as `sda`. */
  readonly targets: readonly string[];
  /** True when disks of virtio-scsi can be plugged in. */
  readonly hasScsi: boolean;
  readonly agentConnected: boolean;
  /** True when this incarnation is known to have ended because the guest asked for a reboot. */
  readonly endedByReset: boolean;
  /** Until when its file systems are to be at rest. */
  readonly frozenUntil: Date | undefined;
}

/** Reads the XML of a domain. */
export function describeDomain(xml: string): DomainDescription {
  const root = parseXml(xml);
  const devices = childAt(root, "devices");
  const mark = readMark(root);
  return {
    uuid: textAt(root, "uuid") ?? "",
    name: textAt(root, "name") ?? "",
    mark,
    migration: readMigrationMark(root),
    interfaces: childrenOf(devices, "interface").flatMap((element) => {
      const mac = attributeOf(childAt(element, "mac"), "address") ?? "";
      const network = attributeOf(childAt(element, "source"), "network");
      return network === undefined ? [] : [{ mac, alias: aliasOf(element), network }];
    }),
    aliases: Array.from(devices?.childNodes ?? [])
      .filter((node) => node.nodeType === node.ELEMENT_NODE)
      .map((node) => aliasOf(node as Element))
      .filter((alias) => alias !== ""),
    disks: childrenOf(devices, "disk").flatMap((element) => {
      const alias = aliasOf(element);
      const name = diskNameOf(alias);
      const target = attributeOf(childAt(element, "target"), "dev") ?? "";
      return name === undefined ? [] : [{ name, alias, target }];
    }),
    targets: childrenOf(devices, "disk").flatMap(
      (element) => attributeOf(childAt(element, "target"), "dev") ?? [],
    ),
    hasScsi: childrenOf(devices, "controller").some(
      (element) =>
        attributeOf(element, "type") === "scsi" && attributeOf(element, "model") === "virtio-scsi",
    ),
    agentConnected: childrenOf(devices, "channel")
      .map((element) => childAt(element, "target"))
      .some(
        (target) =>
          attributeOf(target, "name") === AGENT_CHANNEL &&
          attributeOf(target, "state") === "connected",
      ),
    endedByReset: mark !== undefined && hasResetNote(root, mark.incarnation),
    frozenUntil: frozenUntil(root),
  };
}

function aliasOf(device: Element): string {
  return attributeOf(childAt(device, "alias"), "name") ?? "";
}

/** The state of a guest of ours. */
export function guestState(
  { uuid, disks, agentConnected, endedByReset, frozenUntil: frozen }: DomainDescription,
  mark: DomainMark,
  host: string,
  { state, reason }: { readonly state: number; readonly reason: number },
): GuestState {
  const power = POWER[state] ?? "running";
  const isStopped = power === "stopped";
  return {
    uid: uuid,
    incarnation: mark.incarnation,
    namespace: mark.namespace,
    name: mark.name,
    host,
    power,
    ...(isStopped && { stopReason: stopReason(state, reason, endedByReset) }),
    disks: disks.map(({ name }) => name),
    agentConnected: agentConnected && !isStopped,
    frozen: frozen !== undefined && !isStopped,
  };
}

function stopReason(state: number, reason: number, endedByReset: boolean): StopReason {
  if (state === CRASHED) return "crashed";
  const told = STOP_REASONS[reason] ?? "unknown";
  return told === "guest-shutdown" && endedByReset ? "guest-reset" : told;
}
