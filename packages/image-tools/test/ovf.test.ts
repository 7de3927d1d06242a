import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { confinedHref } from "../src/ovf/ovf-href.ts";
import { quantityBytes, unitBytes } from "../src/ovf/ovf-units.ts";
import { isImageError, parseOvf, writeOvf, type OvfDescription } from "../src/index.ts";
import { runTool } from "./support/run-tool.ts";
import { temporaryDirectory } from "./support/temporary-directory.ts";

const GIB = 2 ** 30;
const fixtures = fileURLToPath(new URL("fixtures/ovf", import.meta.url));
const parseFixture = async (name: string): Promise<OvfDescription> =>
  parseOvf(await readFile(join(fixtures, name)));

function envelope(content: string): Uint8Array {
  return Buffer.from(
    `<Envelope xmlns="http://schemas.dmtf.org/ovf/envelope/1" xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1">${content}</Envelope>`,
  );
}

const disk = (attributes: string): Uint8Array =>
  envelope(`<DiskSection><Disk ovf:diskId="d" ${attributes}/></DiskSection>`);

/** The sizes that a reader of the descriptor needs, in MiB. */
const summary = ({ version, disks, systems }: OvfDescription): unknown => [
  version,
  disks.map(({ fileId, capacityBytes }) => [fileId, (capacityBytes ?? 0) / 2 ** 20]),
  systems.map(({ name, id, cpus, memoryBytes, firmware }) => [
    name ?? id,
    cpus,
    (memoryBytes ?? 0) / 2 ** 20,
    firmware,
  ]),
];

test.each<[string, unknown]>([
  ["made/tiny.ovf", ["1", [["file1", 1]], [["tiny", 1, 256, undefined]]]],
  ["made/virtualbox-7-style.ovf", ["1", [["file1", 8192]], [["demo", 2, 2048, "efi"]]]],
  [
    "made/ovirt-dialect.ovf",
    ["1", [["f934b12c-1e22-4ad8-bbce-ec0b2a5defa4", 1024]], [["vm1", 2, 2048, "bios"]]],
  ],
  [
    "ovirt/vmOvfData2.xml",
    [
      "1",
      [["e562465d-dc03-427f-8cc9-20fc1055424f", 204_800]],
      [["sevenofnine", 8, 16_384, "bios"]],
    ],
  ],
  ["virtualbox/vbox1.ovf", ["1", [["file1", 10_240]], [["vbox1", 1, 192, undefined]]]],
  ["virtualbox/vbox1_0.9.ovf", ["0.9", [["file1", 10_240]], [["vbox1", 1, 192, undefined]]]],
  ["cot/v0.9.ovf", ["0.9", [["file1", 1024]], [["v0.9", 1, 8192, undefined]]]],
  ["cot/ubuntu.2.0.ovf", ["2", [["file1", 8192]], [["ubuntu", 1, 512, undefined]]]],
  ["cot/vmware.ovf", ["1", [["file1", 1024]], [["vmw", 2, 1536, "bios"]]]],
  ["cot/minimal.ovf", ["1", [], [["x", undefined, 0, undefined]]]],
  ["vmware/centos.ovf", ["1", [["file1", 5120]], [["centos", 1, 1024, undefined]]]],
  [
    "vmware/disk-capacity-property.ovf",
    ["1", [[undefined, 5120]], [["disk-capacity-property-vm", 1, 512, undefined]]],
  ],
])("%s", async (name, expected) => {
  const description = await parseFixture(name);
  expect(summary(description)).toEqual(expected);
  expect(description.warnings).toEqual([]);
});

test("hardware: controllers, drives and adapters", async () => {
  const { systems, networks, files, disks } = await parseFixture("vmware/two-disks.ovf");
  expect(files.map(({ href, sizeBytes }) => [href, sizeBytes])).toEqual([
    ["nostalgia-disk1.vmdk", 6_872_576],
    ["nostalgia-disk2.vmdk", 6_872_576],
  ]);
  expect(disks.map(({ id }) => id)).toEqual(["vmdisk1", "vmdisk2"]);
  expect(networks).toEqual([{ name: "VM Network", description: "The VM Network network" }]);
  expect(systems).toEqual([
    {
      id: "Nostalgia",
      name: "Nostalgia",
      operatingSystem: { id: 1, description: "Other (32-bit)" },
      hardwareType: "vmx-04",
      cpus: 1,
      memoryBytes: 64 * 2 ** 20,
      controllers: [
        { id: "3", kind: "scsi", model: "buslogic" },
        { id: "4", kind: "ide" },
        { id: "5", kind: "ide" },
      ],
      drives: [
        { id: "6", kind: "cdrom", controllerId: "5", address: 0 },
        { id: "8", kind: "disk", diskId: "vmdisk1", controllerId: "3", address: 0 },
        { id: "9", kind: "disk", diskId: "vmdisk2", controllerId: "3", address: 1 },
      ],
      networkAdapters: [
        { id: "7", name: "Network adapter 1", model: "PCNet32", network: "VM Network" },
      ],
    },
  ]);
});

test("the default configuration chooses among items", async () => {
  const [system] = (await parseFixture("vmware/deployment-configs.ovf")).systems;
  expect(system?.cpus).toBe(8);
  expect(system?.drives.map(({ diskId }) => diskId)).toEqual([
    "vmdisk_large_1",
    "vmdisk_large_2",
    "vmdisk_large_3",
  ]);
});

test("systems inside of a collection are found", async () => {
  const { systems } = await parseFixture("vmware/two-vm-vapp.ovf");
  expect(systems.map(({ name, firmware }) => [name, firmware])).toEqual([
    ["vm2", "bios"],
    ["vm1", "bios"],
  ]);
});

test("a descriptor in UTF-16, and one that only claims to be", async () => {
  const text = (await readFile(join(fixtures, "made/tiny.ovf"), "utf8")).replace("UTF-8", "UTF-16");
  const wide = Buffer.concat([Buffer.from([0xff, 0xfe]), Buffer.from(text, "utf16le")]);
  for (const bytes of [wide, Buffer.from(text)]) {
    expect((await parseOvf(bytes)).systems[0]?.name).toBe("tiny");
  }
});

describe("refused:", () => {
  test.each<[string, string | Uint8Array, string]>([
    [
      "a document type with an external entity",
      `<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><Envelope xmlns="http://schemas.dmtf.org/ovf/envelope/1">&e;</Envelope>`,
      "IMAGE_UNSAFE",
    ],
    [
      "expanding entities",
      `<!doctype x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><Envelope xmlns="http://schemas.dmtf.org/ovf/envelope/1"/>`,
      "IMAGE_UNSAFE",
    ],
    ["an unknown entity", envelope("<Info>&nbsp;</Info>"), "IMAGE_CORRUPT"],
    ["endless nesting", envelope(`${"<a>".repeat(5000)}${"</a>".repeat(5000)}`), "IMAGE_UNSAFE"],
    ["open elements", envelope("<a>"), "IMAGE_CORRUPT"],
    ["another document", "<html/>", "IMAGE_CORRUPT"],
    ["no document", "", "IMAGE_CORRUPT"],
    ["bytes that are no text", Buffer.from([0x3c, 0xff, 0xfe]), "IMAGE_CORRUPT"],
    ["a descriptor over 1 MiB", envelope(" ".repeat(2 ** 20)), "IMAGE_TOO_LARGE"],
    [
      "two files of one id",
      envelope(
        '<References><File ovf:id="a" ovf:href="x"/><File ovf:id="a" ovf:href="y"/></References>',
      ),
      "IMAGE_UNSAFE",
    ],
    ["a disk without its file", disk('ovf:fileRef="f"'), "IMAGE_CORRUPT"],
    ["capacity NaN", disk('ovf:capacity="NaN"'), "IMAGE_CORRUPT"],
    ["capacity -1", disk('ovf:capacity="-1"'), "IMAGE_CORRUPT"],
    ["capacity 1e9", disk('ovf:capacity="1e9"'), "IMAGE_CORRUPT"],
    ["capacity Infinity", disk('ovf:capacity="Infinity"'), "IMAGE_CORRUPT"],
    ["capacity past 2^53", disk('ovf:capacity="9007199254740993"'), "IMAGE_TOO_LARGE"],
    [
      "an overflowing unit",
      disk('ovf:capacity="1" ovf:capacityAllocationUnits="byte * 2^90"'),
      "IMAGE_TOO_LARGE",
    ],
    [
      "an infinite unit",
      disk('ovf:capacity="1" ovf:capacityAllocationUnits="byte * 999999^999"'),
      "IMAGE_TOO_LARGE",
    ],
    [
      "an unknown unit",
      disk('ovf:capacity="1" ovf:capacityAllocationUnits="parsec"'),
      "IMAGE_CORRUPT",
    ],
  ])("%s", async (_name, content, code) => {
    await expect(parseOvf(Buffer.from(content))).rejects.toMatchObject({ code });
  });

  test.each([
    "../../../content/disk.vmdk",
    "/etc/passwd",
    "http://host/x",
    "file:///etc/passwd",
    "FILE:x",
    "a\\b",
    "a/../b",
    ".",
    "",
  ])("the reference %j", (href) => {
    expect(() => confinedHref(href)).toThrow(/outside of its package/);
  });

  test("a descriptor with such a reference", async () => {
    await expect(parseFixture("vmware/complete_vs_0.9.ovf")).rejects.toMatchObject({
      code: "IMAGE_UNSAFE",
    });
  });
});

test("references inside of the package are allowed", () => {
  expect(confinedHref("./dir//disk.vmdk")).toBe("dir/disk.vmdk");
  expect(confinedHref("..disk")).toBe("..disk");
});

test("units", () => {
  expect(unitBytes("byte * 2^30")).toBe(GIB);
  expect(unitBytes("byte*1024*1024")).toBe(2 ** 20);
  expect(unitBytes("MegaBytes")).toBe(2 ** 20);
  expect(unitBytes(" Byte ")).toBe(1);
  expect(unitBytes("byte * 10^9")).toBe(1e9);
  expect(quantityBytes("5", "byte * 2^30", "x")).toBe(5 * GIB);
  for (const units of ["", "2^30", "byte * ", "byte + 1", "constructor", "byte * 0", "byte * -1"]) {
    expect(() => unitBytes(units), units).toThrow(/unknown unit/);
  }
});

test("a capacity that a property without a value is to tell is a warning", async () => {
  const { disks, warnings } = await parseOvf(disk('ovf:capacity="${size}"'));
  expect(disks).toEqual([{ id: "d" }]);
  expect(warnings).toEqual([expect.stringContaining('"size"')]);
});

test("damaged descriptors give typed errors or descriptions", async () => {
  const good = await readFile(join(fixtures, "made/tiny.ovf"), "latin1");
  const cut = fc.record({
    at: fc.nat(good.length),
    remove: fc.nat(40),
    insert: fc.constantFrom("", "<", "</a>", '"', "&", "-9", "\0", "<!--", "]]>", "é"),
  });
  await fc.assert(
    fc.asyncProperty(cut, async ({ at, remove, insert }) => {
      const text = good.slice(0, at) + insert + good.slice(at + remove);
      await parseOvf(Buffer.from(text, "latin1")).catch((error: unknown) => {
        if (!isImageError(error)) throw error;
      });
    }),
    { numRuns: 400 },
  );
});

const machine: Omit<OvfDescription, "version" | "warnings"> = {
  files: [
    { id: "file1", href: "disk1.vmdk", sizeBytes: 12_345 },
    { id: "file2", href: "seed.iso", sizeBytes: 700, compression: "gzip" },
  ],
  disks: [
    {
      id: "disk1",
      fileId: "file1",
      capacityBytes: 10 * GIB,
      format: "http://www.vmware.com/interfaces/specifications/vmdk.html#streamOptimized",
    },
    { id: "disk2", capacityBytes: 1024 * GIB },
  ],
  networks: [{ name: "Täst & <net>", description: 'says "hello"' }],
  systems: [
    {
      id: "vm-1",
      name: "web & <db>",
      operatingSystem: { id: 96, description: "Debian_64" },
      hardwareType: "vmx-19",
      firmware: "efi",
      cpus: 4,
      memoryBytes: 4 * GIB,
      controllers: [
        { id: "3", kind: "scsi", model: "lsilogic" },
        { id: "4", kind: "sata", model: "AHCI" },
      ],
      drives: [
        { id: "5", kind: "disk", diskId: "disk1", controllerId: "3", address: 0 },
        { id: "6", kind: "disk", diskId: "disk2", controllerId: "3", address: 1 },
        { id: "7", kind: "cdrom", fileId: "file2", controllerId: "4", address: 0 },
      ],
      networkAdapters: [
        {
          id: "8",
          name: "eth0",
          model: "VmxNet3",
          network: "Täst & <net>",
          macAddress: "52:54:00:12:34:56",
        },
      ],
    },
  ],
};

describe("writing", () => {
  test.each(["1", "2"] as const)("version %s is read back as it was", async (version) => {
    const text = writeOvf(machine, { version });
    expect(await parseOvf(Buffer.from(text))).toEqual({ ...machine, version, warnings: [] });
    expect(writeOvf(machine, { version })).toBe(text);
  });

  test("version 1 is valid by the schema of the standard", async () => {
    await using directory = await temporaryDirectory();
    const path = join(directory.path, "x.ovf");
    const schema = join(fixtures, "xsd/dsp8023_1.1.1.xsd");
    await writeFile(path, writeOvf(machine));
    await runTool("xmllint", "--nonet", "--noout", "--schema", schema, path);
    await writeFile(path, writeOvf(machine).replace("<Info>", "<Wrong>x</Wrong><Info>"));
    await expect(
      runTool("xmllint", "--nonet", "--noout", "--schema", schema, path),
    ).rejects.toThrow(/fails to validate/);
  });

  test("any text survives, and what XML cannot hold is refused", async () => {
    await fc.assert(
      fc.asyncProperty(fc.string({ unit: "grapheme", minLength: 1 }), async (text) => {
        const name = text.trim() || "x";
        const networks = [{ name, description: name }];
        const [system] = machine.systems as readonly [OvfDescription["systems"][number]];
        const systems = [{ ...system, name, networkAdapters: [] }];
        const written = writeOvf({ ...machine, networks, systems });
        const read = await parseOvf(Buffer.from(written));
        expect([read.networks, read.systems[0]?.name]).toEqual([networks, name]);
      }),
      { numRuns: 100 },
    );
    expect(() =>
      writeOvf({ ...machine, networks: [...machine.networks, { name: "a\u0000b" }] }),
    ).toThrow(/XML/);
  });

  test.each<[string, Partial<OvfDescription>]>([
    ["no system", { systems: [] }],
    ["two systems", { systems: [...machine.systems, ...machine.systems] }],
    ["a missing file", { files: [] }],
    ["a missing disk", { disks: [] }],
    ["a missing network", { networks: [] }],
    ["a file outside", { files: [{ id: "file1", href: "../x" }, ...machine.files.slice(1)] }],
  ])("%s is refused", (_name, change) => {
    expect(() => writeOvf({ ...machine, ...change })).toThrow(
      /one system|does not have|outside of its package/,
    );
  });
});
