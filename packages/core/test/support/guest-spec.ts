import { randomUUID } from "node:crypto";
import type { GuestSpec } from "@polyvisor/core";

/** A guest with one disk and one interface. */
export function guestSpec(name: string): GuestSpec {
  return {
    uid: randomUUID(),
    incarnation: 1,
    namespace: "default",
    name,
    machine: { osType: "generic", firmware: "bios", paravirtualized: true, tpm: false },
    cpu: {
      sockets: 1,
      coresPerSocket: 1,
      fractionPercent: 100,
      model: { mode: "host-model" },
    },
    memoryBytes: 128 * 2 ** 20,
    disks: [
      {
        name: "vd-root",
        serial: "0123456789",
        source: { type: "file", path: `/volumes/${name}`, format: "raw" },
        device: "disk",
        readOnly: false,
        bootOrder: 1,
      },
    ],
    interfaces: [
      {
        cidr: "10.66.10.0/24",
        gateway: "10.66.10.1",
        mac: "5e:50:0a:42:0a:02",
        address: "10.66.10.2",
      },
    ],
  };
}
