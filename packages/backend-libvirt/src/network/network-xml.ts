import { createHash } from "node:crypto";
import { macAddressOf, parseRange, usableAddresses, usableCount } from "@polyvisor/core";
import { attributeOf, childAt, childrenOf, parseXml } from "../xml/parse-xml.ts";
import { renderXml, type XmlNode } from "../xml/render-xml.ts";

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

/** The XML of a network with address translation for a range. Source: libvirt, "Network XML format". */
export function networkXml(cidr: string, gateway: string): string {
  const hosts = preparedReservations(cidr).map(reservationNode);
  // Names of interfaces have at most 15 characters.
  const bridge = `pv-${createHash("sha256").update(cidr).digest("hex").slice(0, 8)}`;
  return renderXml([
    "network",
    {},
    ["name", {}, networkName(cidr)],
    ["forward", { mode: "nat" }],
    ["bridge", { name: bridge, stp: "off", delay: 0 }],
    [
      "ip",
      { address: gateway, prefix: cidr.split("/")[1] },
      hosts.length > 0 ? ["dhcp", {}, ...hosts] : undefined,
    ],
  ]);
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
}

/** Reads the XML of a network. */
export function describeNetwork(xml: string): NetworkDescription {
  const root = parseXml(xml);
  const hosts = childrenOf(childAt(root, "ip/dhcp"), "host");
  return {
    connections: Number(attributeOf(root, "connections") ?? 0),
    gateway: attributeOf(childAt(root, "ip"), "address"),
    reservations: hosts.flatMap((host) => {
      const mac = attributeOf(host, "mac");
      const address = attributeOf(host, "ip");
      return mac === undefined || address === undefined ? [] : [{ mac, address }];
    }),
  };
}
