import type { ClassCpu, GuestSpec, VirtualMachineSpec } from "@polyvisor/core";
import { describe, expect, it } from "vitest";
import { macAddressOf } from "@polyvisor/core";
import { buildGuestSpec, type GuestParts } from "../../src/machine/build-guest-spec.ts";
import { parseRange } from "../../src/util/address-range.ts";
import { disk, machine, machineClass } from "../support/resources.ts";

function build(
  spec: Partial<VirtualMachineSpec> = {},
  cpu: ClassCpu = { type: "Host" },
  more: Partial<GuestParts> = {},
): GuestSpec {
  return buildGuestSpec({
    vm: machine("linux-vm", spec),
    incarnation: 4,
    vmClass: machineClass({ cpu }),
    disks: ["root", "data"].map((name) => ({
      disk: disk(name),
      source: { type: "file", path: `/volumes/${name}`, format: "raw" },
    })),
    address: "10.66.10.14",
    range: parseRange("10.66.10.0/24"),
    userData: undefined,
    ...more,
  });
}

describe("buildGuestSpec", () => {
  it("has everything that a hypervisor needs", () => {
    const built = build();
    const serials = built.disks.map(({ serial }) => serial);
    expect(built).toEqual({
      uid: "uid-of-linux-vm",
      incarnation: 4,
      namespace: "default",
      name: "linux-vm",
      machine: { osType: "generic", firmware: "bios", paravirtualized: true, tpm: false },
      cpu: { sockets: 1, coresPerSocket: 1, fractionPercent: 100, model: { mode: "host-model" } },
      memoryBytes: 2 ** 30,
      disks: ["root", "data"].map((name, index) => ({
        name: `vd-${name}`,
        serial: serials[index],
        source: { type: "file", path: `/volumes/${name}`, format: "raw" },
        device: "disk",
        readOnly: false,
        bootOrder: index + 1,
      })),
      interfaces: [
        {
          cidr: "10.66.10.0/24",
          gateway: "10.66.10.1",
          mac: "5e:50:0a:42:0a:0e",
          address: "10.66.10.14",
        },
      ],
    });
    expect(new Set(serials).size).toBe(2);
    for (const serial of serials) expect(serial).toMatch(/^[0-9a-f]{20}$/);
    expect(build().disks.map(({ serial }) => serial)).toEqual(serials);
  });

  it.each<[ClassCpu, GuestSpec["cpu"]["model"]]>([
    [{ type: "Host" }, { mode: "host-model" }],
    [{ type: "HostPassthrough" }, { mode: "host-passthrough" }],
    [
      { type: "Model", model: "Nehalem" },
      { mode: "model", model: "Nehalem" },
    ],
    [
      { type: "Features", features: ["vmx", "aes"] },
      { mode: "features", features: ["vmx", "aes"] },
    ],
  ])("makes the CPU %j", (cpu, model) => {
    expect(build({}, cpu).cpu.model).toEqual(model);
  });

  it.each([
    [1, 1, 1],
    [16, 1, 16],
    [18, 2, 9],
    [32, 2, 16],
    [36, 4, 9],
    [64, 4, 16],
    [72, 8, 9],
    [248, 8, 31],
  ])("puts %d cores on %d sockets of %d", (cores, sockets, coresPerSocket) => {
    const { cpu } = build({ cpu: { cores, coreFraction: "100%" } });
    expect(cpu).toMatchObject({ sockets, coresPerSocket });
  });

  it.each([
    ["512Mi", 2 ** 29],
    ["1G", 1e9],
    ["0.1Gi", 107_374_183],
  ])("has %s of memory in whole bytes", (size, bytes) => {
    expect(build({ memory: { size } }).memoryBytes).toBe(bytes);
  });

  it("hands over what cloud-init reads, with texts that YAML cannot misread", () => {
    const built = build({}, { type: "Host" }, { userData: "#cloud-config\n" });
    expect(built.cloudInit).toEqual({
      userData: "#cloud-config\n",
      metaData: 'instance-id: "uid-of-linux-vm"\nlocal-hostname: "linux-vm"\n',
    });
  });
});

describe("macAddressOf", () => {
  it.each([
    ["10.66.10.2", "5e:50:0a:42:0a:02"],
    ["255.255.255.254", "5e:50:ff:ff:ff:fe"],
    ["1.0.0.9", "5e:50:01:00:00:09"],
  ])("gives %s the address %s, local and for one receiver", (address, mac) => {
    expect(macAddressOf(address)).toBe(mac);
    expect(Number.parseInt(mac.slice(0, 2), 16) & 0b11).toBe(0b10);
  });
});
