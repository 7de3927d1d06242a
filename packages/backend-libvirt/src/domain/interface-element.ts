import type { GuestInterface, GuestMachine } from "@polyvisor/core";
import { networkName } from "../network/network-xml.ts";
import type { XmlNode } from "../xml/render-xml.ts";
import { interfaceAlias } from "./device-alias.ts";
import { isLegacy } from "./machine-elements.ts";

/** A network card. */
export function interfaceElement({ cidr, mac }: GuestInterface, machine: GuestMachine): XmlNode {
  return [
    "interface",
    { type: "network" },
    ["mac", { address: mac }],
    ["source", { network: networkName(cidr) }],
    ["model", { type: cardModel(machine) }],
    ["alias", { name: interfaceAlias(mac) }],
  ];
}

function cardModel(machine: GuestMachine): string {
  if (machine.paravirtualized) return isLegacy(machine) ? "virtio-transitional" : "virtio";
  return isLegacy(machine) ? "rtl8139" : "e1000";
}
