import type { GuestInterface, GuestMachine } from "@polyvisor/core";
import { networkName } from "../network/network-xml.ts";
import type { XmlNode } from "../xml/render-xml.ts";
import { interfaceAlias } from "./device-alias.ts";
import { isLegacy } from "./machine-elements.ts";

/**
 * A network card.
 *
 * @param isGuarded - Holds the guest to its addresses. Source: libvirt, "Network Filters", `clean-traffic`.
 */
export function interfaceElement(
  { cidr, mac, address }: GuestInterface,
  machine: GuestMachine,
  isGuarded: boolean,
): XmlNode {
  return [
    "interface",
    { type: "network" },
    ["mac", { address: mac }],
    ["source", { network: networkName(cidr) }],
    ["model", { type: cardModel(machine) }],
    ["alias", { name: interfaceAlias(mac) }],
    isGuarded
      ? ["filterref", { filter: "clean-traffic" }, ["parameter", { name: "IP", value: address }]]
      : undefined,
  ];
}

function cardModel(machine: GuestMachine): string {
  if (machine.paravirtualized) return isLegacy(machine) ? "virtio-transitional" : "virtio";
  return isLegacy(machine) ? "rtl8139" : "e1000";
}
