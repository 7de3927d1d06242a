import { createHash } from "node:crypto";
import { macAddressOf, parseRange, usableAddresses, usableCount } from "@polyvisor/core";
import { attributeOf, childAt, childrenOf, parseXml } from "../xml/parse-xml.ts";
import { renderXml, type XmlNode } from "../xml/render-xml.ts";
import type { NetworkMode } from "./network-settings.ts";

/** That a network interface gets an address. */
export interface Reservation {
  readonly mac: string;
  readonly address: string;
}

/** The name of the network for a range: `polyvisor-10.66.10.0-24`. */
export function networkName(cidr: string): string {
  return `polyvisor-${cidr.replace("/", "-")}`;
}

/** The range of the network with this name; `undefined` for networks that are not ours. */
export function rangeOfNetwork(name: string): string | undefined {
  const [, address, prefix] = /^polyvisor-([0-9a-f.:]+)-(\d+)$/.exec(name) ?? [];
  return address === undefined ? undefined : `${address}/${prefix}`;
}

/** Ranges of up to so many addresses have all their reservations from the start. */
const MAXIMUM_PREPARED = 1024;

/**
 * The reservations that the network of a range is made with: for every address, that of the guest that can get it. A
 * later change of a reservation makes libvirt build the firewall of the network anew, which takes longer than the start
 * of a guest. Wide ranges begin empty.
 */
function preparedReservations(cidr: string): Reservation[] {
  const range = parseRange(cidr);
  if (usableCount(range) > MAXIMUM_PREPARED) return [];
  return Array.from(usableAddresses(range), (address) => ({ mac: macAddressOf(address), address }));
}

/** True for networks on which the host gives out the addresses. */
export function givesAddresses({ type }: NetworkMode): boolean {
  return type === "nat" || type === "routed" || type === "isolated";
}

/** libvirt's word for how a network forwards; absent for one that does not. */
function forwardMode({ type }: NetworkMode): string | undefined {
  switch (type) {
    case "nat":
      return "nat";
    case "routed":
      return "route";
    case "isolated":
      return undefined;
    case "bridge":
    case "open-vswitch":
      return "bridge";
  }
}

/**
 * The XML of the network for a range. Source: libvirt, "Network XML format".
 *
 * @param gateway - Needed where the host gives out the addresses.
 */
export function networkXml(
  cidr: string,
  gateway: string | undefined,
  mode: NetworkMode = { type: "nat" },
): string {
  const forward = forwardMode(mode);
  return renderXml([
    "network",
    {},
    ["name", {}, networkName(cidr)],
    forward === undefined ? undefined : ["forward", { mode: forward }],
    ...(mode.type === "bridge" || mode.type === "open-vswitch"
      ? bridgeElements(mode)
      : ownBridgeElements(cidr, gateway)),
  ]);
}

function bridgeElements(
  mode: NetworkMode & { readonly type: "bridge" | "open-vswitch" },
): (XmlNode | undefined)[] {
  const isSwitch = mode.type === "open-vswitch";
  return [
    ["bridge", { name: mode.bridge }],
    isSwitch && mode.vlan !== undefined ? ["vlan", {}, ["tag", { id: mode.vlan }]] : undefined,
    isSwitch ? ["virtualport", { type: "openvswitch" }] : undefined,
  ];
}

function ownBridgeElements(cidr: string, gateway: string | undefined): XmlNode[] {
  const hosts = preparedReservations(cidr).map(reservationNode);
  // Names of interfaces have at most 15 characters.
  const bridge = `pv-${createHash("sha256").update(cidr).digest("hex").slice(0, 8)}`;
  return [
    ["bridge", { name: bridge, stp: "off", delay: 0 }],
    [
      "ip",
      { address: gateway, prefix: cidr.split("/")[1] },
      hosts.length > 0 ? ["dhcp", {}, ...hosts] : undefined,
    ],
  ];
}

/** A reservation as an element of `<dhcp>`. */
export function reservationXml(reservation: Reservation): string {
  return renderXml(reservationNode(reservation));
}

function reservationNode({ mac, address }: Reservation): XmlNode {
  return ["host", { mac, ip: address }];
}

/** What the XML of a network tells. */
export interface NetworkDescription {
  readonly reservations: readonly Reservation[];
  readonly gateway: string | undefined;
  /** Guests that run with an interface on it. */
  readonly connections: number;
  readonly forward: string | undefined;
  /** Of the host's own, where the network only leads to it. */
  readonly bridge: string | undefined;
  readonly vlan: number | undefined;
}

/** True when a network is as its settings want it. */
export function fitsMode(
  { forward, bridge, vlan }: NetworkDescription,
  mode: NetworkMode,
): boolean {
  if (forward !== forwardMode(mode)) return false;
  if (givesAddresses(mode)) return true;
  const wanted = mode.type === "open-vswitch" ? mode.vlan : undefined;
  return "bridge" in mode && bridge === mode.bridge && vlan === wanted;
}

/** Reads the XML of a network. */
export function describeNetwork(xml: string): NetworkDescription {
  const root = parseXml(xml);
  const hosts = childrenOf(childAt(root, "ip/dhcp"), "host");
  const vlan = attributeOf(childAt(root, "vlan/tag"), "id");
  return {
    connections: Number(attributeOf(root, "connections") ?? 0),
    gateway: attributeOf(childAt(root, "ip"), "address"),
    forward: attributeOf(childAt(root, "forward"), "mode"),
    bridge: attributeOf(childAt(root, "bridge"), "name"),
    vlan: vlan === undefined ? undefined : Number(vlan),
    reservations: hosts.flatMap((host) => {
      const mac = attributeOf(host, "mac");
      const address = attributeOf(host, "ip");
      return mac === undefined || address === undefined ? [] : [{ mac, address }];
    }),
  };
}
