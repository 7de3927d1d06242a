import type { GuestState, StopReason } from "@polyvisor/core";
import { attributeOf, childAt, childrenOf, parseXml, textAt } from "../xml/parse-xml.ts";
import { type DomainMark, readMark } from "./domain-mark.ts";

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

/** What the XML of a domain says about a guest. */
export interface DomainDescription {
  readonly uuid: string;
  readonly name: string;
  /** Absent for a guest that is not ours. */
  readonly mark: DomainMark | undefined;
  /** Names of the networks that it has interfaces on. */
  readonly networks: readonly string[];
}

/** Reads the XML of a domain. */
export function describeDomain(xml: string): DomainDescription {
  const root = parseXml(xml);
  return {
    uuid: textAt(root, "uuid") ?? "",
    name: textAt(root, "name") ?? "",
    mark: readMark(root),
    networks: childrenOf(childAt(root, "devices"), "interface").flatMap(
      (element) => attributeOf(childAt(element, "source"), "network") ?? [],
    ),
  };
}

/** The state of a guest of ours. */
export function guestState(
  { uuid }: DomainDescription,
  mark: DomainMark,
  host: string,
  { state, reason }: { readonly state: number; readonly reason: number },
): GuestState {
  const power = POWER[state] ?? "running";
  const stopReason = state === CRASHED ? "crashed" : (STOP_REASONS[reason] ?? "unknown");
  return {
    uid: uuid,
    incarnation: mark.incarnation,
    namespace: mark.namespace,
    name: mark.name,
    host,
    power,
    ...(power === "stopped" && { stopReason }),
  };
}
