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
import { domainXml, type DomainEnvironment } from "../src/domain/domain-xml.ts";
import { describeNetwork, networkXml } from "../src/network/network-xml.ts";
import { directoryPoolXml, volumeXml } from "../src/storage/volume-xml.ts";

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
const kvm: DomainEnvironment = { virtType: "kvm", cpuModes: ALL_MODES, seedPath: undefined };
const emulated: DomainEnvironment = {
  virtType: "qemu",
  cpuModes: new Set(["maximum", "custom"]),
  seedPath: "/var/lib/libvirt/images/polyvisor/seed-1.iso",
};

const goldens: readonly [file: string, GuestSpec, DomainEnvironment][] = [
  ["host-model", spec, kvm],
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
];

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
      networks: ["polyvisor-10.66.10.0-24"],
    });
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
    await validate("storagevol", volumeXml({ name: "vd-1", sizeBytes: 4096, format: "raw" }));
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
