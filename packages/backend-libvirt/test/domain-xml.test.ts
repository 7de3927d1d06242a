import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import type { GuestSpec } from "@polyvisor/core";
import { requireDebianPackages } from "@polyvisor/backend-libvirt/lab";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { CpuMode } from "../src/domain/cpu-element.ts";
import { domainName } from "../src/domain/domain-mark.ts";
import { describeDomain, guestState } from "../src/domain/domain-state.ts";
import { diskAlias, diskNameOf } from "../src/domain/device-alias.ts";
import { diskTarget } from "../src/domain/disk-element.ts";
import { frozenNote, resetNote } from "../src/domain/domain-notes.ts";
import { domainXml, type DomainEnvironment } from "../src/domain/domain-xml.ts";
import { mergeDomain } from "../src/domain/merge-domain.ts";
import type { NetworkMode } from "../src/network/network-settings.ts";
import { describeNetwork, fitsMode, networkXml } from "../src/network/network-xml.ts";
import {
  describeVolume,
  directoryPoolXml,
  logicalPoolXml,
  networkPoolXml,
  volumeXml,
} from "../src/storage/volume-xml.ts";

const SCHEMAS = "/usr/share/libvirt/schemas";
const ALL_MODES: ReadonlySet<CpuMode> = new Set([
  "host-passthrough",
  "host-model",
  "maximum",
  "custom",
]);

let directory = "";
beforeAll(async () => {
  await requireDebianPackages([
    { package: "libxml2-utils", command: "xmllint" },
    { package: "libvirt0", command: `${SCHEMAS}/domain.rng` },
  ]);
  directory = await mkdtemp(join(tmpdir(), "polyvisor-xml-"));
}, 300_000);
afterAll(() => rm(directory, { recursive: true, force: true }));

/** Fails with the schema's complaint when the document does not follow it. */
async function validate(schema: string, xml: string): Promise<void> {
  const path = join(directory, `${schema}.xml`);
  await writeFile(path, xml);
  const args = ["--noout", "--relaxng", `${SCHEMAS}/${schema}.rng`, path];
  await promisify(execFile)("xmllint", args);
}

const spec: GuestSpec = {
  uid: "2f8b7c1e-6a43-4a56-9c43-0d1f5a2b3c4d",
  incarnation: 7,
  namespace: "default",
  name: "linux-vm",
  machine: { osType: "generic", firmware: "bios", paravirtualized: true, tpm: false },
  cpu: { sockets: 1, coresPerSocket: 2, fractionPercent: 100, model: { mode: "host-model" } },
  memoryBytes: 2 ** 30,
  disks: [
    {
      name: "vd-root",
      serial: "0123456789abcdef0123",
      source: { type: "file", path: "/var/lib/libvirt/images/polyvisor/vd-1", format: "raw" },
      device: "disk",
      readOnly: false,
      bootOrder: 1,
    },
    {
      name: "vd-data",
      serial: "3210",
      source: { type: "block", path: "/dev/mapper/data" },
      device: "disk",
      readOnly: true,
      bootOrder: 2,
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
const kvm: DomainEnvironment = {
  virtType: "kvm",
  cpuModes: ALL_MODES,
  media: [],
  isGuarded: () => false,
};
const emulated: DomainEnvironment = {
  virtType: "qemu",
  cpuModes: new Set(["maximum", "custom"]),
  media: ["/var/lib/libvirt/images/polyvisor/seed-1.iso"],
  isGuarded: () => false,
};

const goldens: readonly [file: string, GuestSpec, DomainEnvironment][] = [
  ["host-model", spec, kvm],
  ["guarded-interface", spec, { ...kvm, isGuarded: () => true }],
  [
    "host-passthrough",
    {
      ...spec,
      machine: { osType: "generic", firmware: "bios", paravirtualized: true, tpm: false },
      cpu: { ...spec.cpu, model: { mode: "host-passthrough" } },
    },
    kvm,
  ],
  [
    "emulated-passthrough-with-seed",
    {
      ...spec,
      disks: spec.disks.slice(0, 1),
      machine: { osType: "generic", firmware: "bios", paravirtualized: true, tpm: false },
      cpu: { ...spec.cpu, model: { mode: "host-passthrough" } },
    },
    emulated,
  ],
  [
    "model",
    {
      ...spec,
      machine: { osType: "generic", firmware: "bios", paravirtualized: true, tpm: false },
      cpu: {
        sockets: 2,
        coresPerSocket: 12,
        fractionPercent: 100,
        model: { mode: "model", model: "Nehalem" },
      },
    },
    kvm,
  ],
  [
    "features",
    {
      ...spec,
      machine: { osType: "generic", firmware: "bios", paravirtualized: true, tpm: false },
      cpu: { ...spec.cpu, model: { mode: "features", features: ["vmx", "aes"] } },
    },
    kvm,
  ],
  ["no-devices", { ...spec, disks: [], interfaces: [] }, kvm],
  ["efi", machine({ firmware: "efi" }), kvm],
  ["efi-secure-boot", machine({ firmware: "efi-secure-boot", tpm: true }), kvm],
  ["windows", machine({ osType: "windows", firmware: "efi", tpm: true }), kvm],
  [
    "windows-emulated-with-answers",
    machine({ osType: "windows", paravirtualized: false }),
    { ...emulated, media: ["/pool/answers-1.iso"] },
  ],
  ["emulated-devices", machine({ paravirtualized: false }), kvm],
  ["legacy", machine({ osType: "legacy" }), kvm],
  ["legacy-emulated-devices", machine({ osType: "legacy", paravirtualized: false }), kvm],
  [
    "fraction",
    {
      ...spec,
      cpu: { sockets: 1, coresPerSocket: 4, fractionPercent: 25, model: { mode: "host-model" } },
    },
    kvm,
  ],
];

/** A guest of another sort, with a CD-ROM besides its disks. */
function machine(changed: Partial<GuestSpec["machine"]>): GuestSpec {
  return {
    ...spec,
    machine: { ...spec.machine, ...changed },
    disks: [
      ...spec.disks,
      {
        name: "cvi-installer",
        serial: "99",
        source: { type: "file", path: "/images/installer.iso", format: "raw" },
        device: "cdrom",
        readOnly: true,
      },
    ],
  };
}

describe("domain XML", () => {
  it.each(goldens)(
    "of %s is as agreed and follows libvirt's schema",
    async (file, guest, environment) => {
      const xml = domainXml(guest, environment);
      await expect(`${xml.replaceAll("><", ">\n<")}\n`).toMatchFileSnapshot(
        `fixtures/domain/${file}.xml`,
      );
      await validate("domain", xml);
    },
  );

  it("is refused by the check when it breaks the schema", async () => {
    const broken = domainXml(spec, kvm).replace("<vcpu>", "<vcpus>").replace("</vcpu>", "</vcpus>");
    await expect(validate("domain", broken)).rejects.toThrow(/fails to validate/);
  });

  it("carries names with any characters there and back", () => {
    const text = fc
      .string({ unit: "grapheme", minLength: 1 })
      .filter(
        (value) => value.isWellFormed() && !/[^\t\n\r\x20-\uFFFD\u{10000}-\u{10FFFF}]/u.test(value),
      );
    fc.assert(
      fc.property(text, text, (namespace, name) => {
        const { mark } = describeDomain(domainXml({ ...spec, namespace, name }, kvm));
        expect(mark).toEqual({ incarnation: 7, namespace, name });
      }),
    );
  });

  it("is not made of a name that XML cannot express", () => {
    expect(() => domainXml({ ...spec, name: "bell\u0007" }, kvm)).toThrow(/character/i);
  });

  it("tells uid, mark and interfaces", () => {
    expect(describeDomain(domainXml(spec, kvm))).toEqual({
      uuid: spec.uid,
      name: "default_linux-vm",
      mark: { incarnation: 7, namespace: "default", name: "linux-vm" },
      interfaces: [
        {
          mac: "5e:50:0a:42:0a:02",
          alias: "ua-net-5e500a420a02",
          network: "polyvisor-10.66.10.0-24",
        },
      ],
      aliases: ["ua-vd-root", "ua-vd-data", "ua-net-5e500a420a02"],
      disks: [
        { name: "vd-root", alias: "ua-vd-root", target: "sda" },
        { name: "vd-data", alias: "ua-vd-data", target: "sdb" },
      ],
      targets: ["sda", "sdb"],
      hasScsi: true,
      agentConnected: false,
      endedByReset: false,
      frozenUntil: undefined,
    });
  });

  it("names more disks than the alphabet has letters", () => {
    const target = (index: number): string => diskTarget({ bus: "scsi", index });
    expect([0, 25, 26, 51, 52, 701, 702].map(target)).toEqual([
      "sda",
      "sdz",
      "sdaa",
      "sdaz",
      "sdba",
      "sdzz",
      "sdaaa",
    ]);
  });

  it("has aliases from which the names of disks are read again", () => {
    const name = "vd-disk.of.a-team";
    expect(diskAlias(name)).toMatch(/^ua-[a-zA-Z0-9_-]+$/);
    expect(diskNameOf(diskAlias(name))).toBe(name);
    expect(diskNameOf("scsi0-0-0-1")).toBeUndefined();
  });
});

describe("a domain that is defined anew", () => {
  const strange = `<domain type="kvm" xmlns:qemu="http://libvirt.org/schemas/domain/qemu/1.0">
    <name>old</name><uuid>${spec.uid}</uuid><title>Of a person</title>
    <metadata>
      <polyvisor:guest xmlns:polyvisor="https://polyvisor.dev/xmlns/libvirt/guest/1" incarnation="6" namespace="default" name="linux-vm"/>
      <other:guest xmlns:other="urn:other" a="1">kept</other:guest>
    </metadata>
    <memory unit="KiB">1</memory><memoryBacking><hugepages/></memoryBacking>
    <vcpu>9</vcpu><cputune><quota>5000</quota></cputune>
    <os><type arch="x86_64" machine="q35">hvm</type></os>
    <features><acpi/><hyperv mode="custom"><relaxed state="on"/></hyperv><pmu state="off"/></features>
    <devices>
      <disk type="file" device="disk"><source file="/gone"/><target dev="vda" bus="virtio"/></disk>
      <tpm model="tpm-crb"><backend type="emulator" version="2.0"/></tpm>
      <sound model="ich9"/>
      <hostdev mode="subsystem" type="pci" managed="yes"><source><address domain="0" bus="3" slot="0" function="0"/></source></hostdev>
    </devices>
    <qemu:commandline><qemu:arg value="-no-hpet"/></qemu:commandline>
  </domain>`;

  it("keeps what this backend has no word for", async () => {
    const merged = mergeDomain(strange, domainXml(spec, kvm));
    await validate("domain", merged);
    for (const kept of [
      "<title>Of a person</title>",
      'xmlns:other="urn:other" a="1">kept<',
      "<hugepages/>",
      '<pmu state="off"/>',
      '<sound model="ich9"/>',
      "<hostdev ",
      'value="-no-hpet"',
    ])
      expect(merged).toContain(kept);
  });

  it("loses what came from an older spec", () => {
    const merged = mergeDomain(strange, domainXml(spec, kvm));
    for (const lost of ["/gone", "<hyperv", "<cputune", "<tpm", 'incarnation="6"'])
      expect(merged).not.toContain(lost);
    expect(describeDomain(merged).mark?.incarnation).toBe(7);
  });

  it("is the same after it was merged with itself", () => {
    const xml = domainXml(spec, kvm);
    expect(mergeDomain(xml, xml)).toBe(xml);
  });
});

describe("notes in the metadata of a domain", () => {
  const noted = (...notes: readonly { uri: string; prefix: string; xml: string }[]): string =>
    domainXml(spec, kvm).replace(
      "</metadata>",
      `${notes
        .map(({ uri, prefix, xml }) =>
          xml.replace("<guest", `<${prefix}:guest xmlns:${prefix}="${uri}"`),
        )
        .join("")}</metadata>`,
    );

  it("tell that a reboot has ended an incarnation, and only that one", () => {
    expect(describeDomain(noted(resetNote(7))).endedByReset).toBe(true);
    expect(describeDomain(noted(resetNote(6))).endedByReset).toBe(false);
  });

  it("tell until when file systems are at rest", () => {
    const until = new Date("2030-01-02T03:04:05.000Z");
    expect(describeDomain(noted(frozenNote(until))).frozenUntil).toEqual(until);
  });

  it("do not outlive the incarnation that they are about", () => {
    const next = mergeDomain(noted(resetNote(7)), domainXml(spec, kvm));
    expect(next).not.toContain("polyvisor-ended");
  });
});

describe("the mark of a domain", () => {
  const withMetadata = (metadata: string): string =>
    `<domain type="qemu"><name>x</name><uuid>${spec.uid}</uuid><metadata>${metadata}</metadata></domain>`;
  it.each([
    ["none", ""],
    [
      "one of another namespace",
      '<guest xmlns="urn:other" incarnation="1" namespace="a" name="b"/>',
    ],
    [
      "one without incarnation",
      '<g:guest xmlns:g="https://polyvisor.dev/xmlns/libvirt/guest/1" namespace="a" name="b"/>',
    ],
    [
      "one with a broken incarnation",
      '<g:guest xmlns:g="https://polyvisor.dev/xmlns/libvirt/guest/1" incarnation="x" namespace="a" name="b"/>',
    ],
  ])("is not seen in %s", (_, metadata) => {
    expect(describeDomain(withMetadata(metadata)).mark).toBeUndefined();
  });

  it("is not looked for in XML with a document type declaration", () => {
    const declared = `<!DOCTYPE domain [<!ENTITY a "aaaa">]>${withMetadata("")}`;
    expect(() => describeDomain(declared)).toThrow(/document type declaration/);
    const used = `<!DOCTYPE domain [<!ENTITY a "aaaa">]>${withMetadata("&a;")}`;
    expect(() => describeDomain(used)).toThrow(/entity not found/);
  });

  it("gives domains of different VMs different names", () => {
    expect(domainName({ namespace: "a", name: "b-c" })).not.toBe(
      domainName({ namespace: "a-b", name: "c" }),
    );
  });
});

describe("the state of a guest", () => {
  const description = describeDomain(domainXml(spec, kvm));
  const mark = { incarnation: 7, namespace: "default", name: "linux-vm" };
  it("tells a reboot, which libvirt takes for a shutdown, from a shutdown", () => {
    const reset = { ...description, endedByReset: true };
    const stopReason = (reason: number): unknown =>
      guestState(reset, mark, "node-1", { state: 5, reason }).stopReason;
    expect(stopReason(1)).toBe("guest-reset");
    expect(stopReason(2)).toBe("stopped");
  });

  it("has an agent and is at rest only while it runs", () => {
    const frozen = { ...description, agentConnected: true, frozenUntil: new Date() };
    const state = (number: number): unknown =>
      guestState(frozen, mark, "node-1", { state: number, reason: 0 });
    expect(state(1)).toMatchObject({ agentConnected: true, frozen: true });
    expect(state(5)).toMatchObject({ agentConnected: false, frozen: false });
  });

  it.each([
    [1, 1, "running", undefined],
    [2, 0, "running", undefined],
    [3, 1, "paused", undefined],
    [4, 0, "stopping", undefined],
    [5, 0, "stopped", "unknown"],
    [5, 1, "stopped", "guest-shutdown"],
    [5, 2, "stopped", "stopped"],
    [5, 3, "stopped", "crashed"],
    [5, 6, "stopped", "start-failed"],
    [6, 0, "stopped", "crashed"],
    [7, 0, "paused", undefined],
  ])("libvirt's state %i, reason %i is %s, %s", (state, reason, power, stopReason) => {
    expect(guestState(description, mark, "node-1", { state, reason })).toMatchObject({
      power,
      ...(stopReason !== undefined && { stopReason }),
    });
  });
});

describe("other XML", () => {
  it("of networks, pools and volumes follows libvirt's schemas", async () => {
    await validate("network", networkXml("10.66.10.0/24", "10.66.10.1"));
    await validate("storagepool", directoryPoolXml("a & b", "/var/lib/a<b"));
    const server = { server: "files.test", export: "/a & b", format: "nfs" };
    await validate("storagepool", networkPoolXml("shared", server, "/var/lib/shared"));
    await validate("storagepool", logicalPoolXml("fast", "vg<0>"));
    const plain = { name: "vd-1", sizeBytes: 4096, format: "raw" } as const;
    await validate("storagevol", volumeXml(plain));
    const backing = { path: "/var/lib/a & b", format: "raw" } as const;
    await validate("storagevol", volumeXml({ ...plain, format: "qcow2", backing }));
  });

  it.each<NetworkMode>([
    { type: "nat" },
    { type: "routed" },
    { type: "isolated" },
    { type: "bridge", bridge: "br0" },
    { type: "open-vswitch", bridge: "br0" },
    { type: "open-vswitch", bridge: "br0", vlan: 7 },
  ])("of a network of %j follows libvirt's schema, and is told from the others", async (mode) => {
    const xml = networkXml("10.66.10.0/24", "10.66.10.1", mode);
    await validate("network", xml);
    expect(fitsMode(describeNetwork(xml), mode)).toBe(true);
    for (const other of [{ type: "nat" }, { type: "bridge", bridge: "br1" }] as const) {
      expect(fitsMode(describeNetwork(xml), other)).toBe(
        mode.type === other.type && !("bridge" in other),
      );
    }
  });

  it("of a volume tells its format and what it shows", () => {
    const xml = `<volume><name>a</name><capacity unit="bytes">512</capacity><target><path>/p/a</path>
      <format type="qcow2"/></target><backingStore><path>/p/b</path></backingStore></volume>`;
    expect(describeVolume(xml)).toEqual({
      sizeBytes: 512,
      path: "/p/a",
      format: "qcow2",
      backingPath: "/p/b",
    });
  });

  it("of a network has the reservations of its whole range, unless that is wide", () => {
    const { reservations, connections } = describeNetwork(
      networkXml("10.66.10.0/24", "10.66.10.1"),
    );
    expect(connections).toBe(0);
    expect(reservations).toHaveLength(253);
    expect(reservations[0]).toEqual({ mac: "5e:50:0a:42:0a:02", address: "10.66.10.2" });
    expect(reservations.at(-1)).toEqual({ mac: "5e:50:0a:42:0a:fe", address: "10.66.10.254" });
    expect(describeNetwork(networkXml("10.66.0.0/16", "10.66.0.1")).reservations).toEqual([]);
  });

  it("names bridges within the limit of interfaces, and differently for each range", async () => {
    const bridge = (cidr: string): string =>
      /bridge name="([^"]+)"/.exec(networkXml(cidr, "10.66.10.1"))?.[1] ?? "";
    expect(bridge("10.66.10.0/24").length).toBeLessThanOrEqual(15);
    expect(bridge("10.66.10.0/24")).not.toBe(bridge("10.66.11.0/24"));
  });
});
