import type { ClassCpu, GuestSpec, VirtualMachineSpec } from "@polyvisor/core";
import { describe, expect, it } from "vitest";
import { macAddressOf } from "@polyvisor/core";
import { buildGuestSpec, type GuestParts } from "../../src/machine/build-guest-spec.ts";
import { deviceSerial } from "../../src/machine/guest-devices.ts";
import { parseRange } from "../../src/util/address-range.ts";
import { disk, machine, machineClass } from "../support/resources.ts";

function build(
  spec: Partial<VirtualMachineSpec> = {},
  cpu: ClassCpu = { type: "Host" },
  more: Partial<GuestParts> = {},
): GuestSpec {
  return buildGuestSpec({
    vm: machine("linux-vm", {
      blockDeviceRefs: [
        { kind: "VirtualDisk", name: "root" },
        { kind: "VirtualDisk", name: "data" },
      ],
      ...spec,
    }),
    incarnation: 4,
    vmClass: machineClass({ cpu }),
    devices: ["root", "data"].map((name) => ({
      device: {
        kind: "VirtualDisk",
        name,
        serial: deviceSerial(disk(name).metadata.uid),
        device: "disk",
        readOnly: false,
      },
      source: { type: "file", path: `/volumes/${name}`, format: "raw" },
    })),
    address: "10.66.10.14",
    range: parseRange("10.66.10.0/24"),
    provisioning: {},
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
    const built = build({}, { type: "Host" }, { provisioning: { userData: "#cloud-config\n" } });
    expect(built.cloudInit).toEqual({
      userData: "#cloud-config\n",
      metaData: 'instance-id: "uid-of-linux-vm"\nlocal-hostname: "linux-vm"\n',
    });
  });
});

describe("what a guest is made for", () => {
  it.each<[Partial<VirtualMachineSpec>, GuestSpec["machine"]]>([
    [
      { osType: "Windows", bootloader: "EFIWithSecureBoot" },
      { osType: "windows", firmware: "efi-secure-boot", paravirtualized: true, tpm: true },
    ],
    [
      { osType: "Legacy", enableParavirtualization: false },
      { osType: "legacy", firmware: "bios", paravirtualized: false, tpm: false },
    ],
    [
      { bootloader: "EFI" },
      { osType: "generic", firmware: "efi", paravirtualized: true, tpm: false },
    ],
  ])("%j", (spec, expected) => {
    expect(build(spec).machine).toEqual(expected);
  });

  it("is set aside as the core fraction says", () => {
    expect(build({ cpu: { cores: 2, coreFraction: "20%" } }).cpu.fractionPercent).toBe(20);
  });

  it("boots in the order that the VM's spec says, and gets answer files", () => {
    const blockDeviceRefs = [
      { kind: "VirtualDisk", name: "root" },
      { kind: "VirtualDisk", name: "data", bootOrder: 1 },
    ] as const;
    const answerFiles = { "autounattend.xml": "<unattend/>" };
    const built = build({ blockDeviceRefs }, { type: "Host" }, { provisioning: { answerFiles } });
    expect(built.disks.map(({ name, bootOrder }) => [name, bootOrder])).toEqual([
      ["vd-root", 2],
      ["vd-data", 1],
    ]);
    expect(built.answerFiles).toEqual(answerFiles);
    expect(built.cloudInit).toBeUndefined();
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
