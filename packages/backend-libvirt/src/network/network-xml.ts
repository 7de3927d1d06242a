import { createHash } from "node:crypto";
import { attributeOf, childAt, childrenOf, parseXml } from "../xml/parse-xml.ts";
import { renderXml } from "../xml/render-xml.ts";

/** That a network interface gets an address. */
export interface Reservation {
  readonly mac: string;
  readonly address: string;
}

/** The name of the network for a range: `polyvisor-10.66.10.0-24`. */
export function networkName(cidr: string): string {
  return `polyvisor-${cidr.replace("/", "-")}`;
}

/** The XML of a network with address translation for a range. Source: libvirt, "Network XML format". */
export function networkXml(cidr: string, gateway: string): string {
  // Names of interfaces have at most 15 characters.
  const bridge = `pv-${createHash("sha256").update(cidr).digest("hex").slice(0, 8)}`;
  return renderXml([
    "network",
    {},
    ["name", {}, networkName(cidr)],
    ["forward", { mode: "nat" }],
    ["bridge", { name: bridge, stp: "on", delay: 0 }],
    ["ip", { address: gateway, prefix: cidr.split("/")[1] }],
  ]);
}

/** A reservation as an element of `<dhcp>`. */
export function reservationXml({ mac, address }: Reservation): string {
  return renderXml(["host", { mac, ip: address }]);
}

/** The reservations of a network. */
export function readReservations(networkDescription: string): Reservation[] {
  const dhcp = childAt(parseXml(networkDescription), "ip/dhcp");
  return childrenOf(dhcp, "host").flatMap((host) => {
    const mac = attributeOf(host, "mac");
    const address = attributeOf(host, "ip");
    return mac === undefined || address === undefined ? [] : [{ mac, address }];
  });
}
