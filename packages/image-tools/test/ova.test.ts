import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { gzipSync } from "node:zlib";
import { pack, type Header } from "tar-stream";
import { describe, expect, test } from "vitest";
import { parseManifest } from "../src/ova/ova-manifest.ts";
import { memoryReader, openOva, type ImageSource, type Ova } from "../src/index.ts";
import { readInOrder } from "../src/source/sub-reader.ts";
import { collectBytes } from "./support/collect.ts";
import { noise } from "./support/made-images.ts";

const disk = noise(5000);

const ovf = (fileAttributes: string, capacity = "1048576"): Buffer =>
  Buffer.from(
    `<Envelope xmlns="http://schemas.dmtf.org/ovf/envelope/1" xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1">
      <References><File ovf:id="f" ${fileAttributes}/></References>
      <DiskSection><Disk ovf:diskId="d" ovf:fileRef="f" ovf:capacity="${capacity}"/></DiskSection>
      <VirtualSystem ovf:id="v"/></Envelope>`,
  );

type Entry = readonly [name: string, content: Uint8Array, header?: Partial<Header>];

async function ova(...entries: readonly Entry[]): Promise<Buffer> {
  const packer = pack();
  for (const [name, content, header] of entries) {
    packer.entry({ name, size: content.length, ...header }, Buffer.from(content));
  }
  packer.finalize();
  return collectBytes(packer as AsyncIterable<Uint8Array>);
}

const open = (bytes: Uint8Array): Promise<Ova> => openOva(memoryReader(bytes));

async function contentOf(source: ImageSource | undefined): Promise<Buffer> {
  if (source === undefined) throw new Error("there is no disk");
  return collectBytes(source.kind === "random" ? readInOrder(source.reader) : source.stream);
}

const plain = ovf('ovf:href="disk.vmdk" ovf:size="5000"');

function manifest(algorithm: "sha1" | "sha256" | "sha512", ...files: readonly Entry[]): Entry {
  const lines = files.map(([name, content]) => {
    const digest = createHash(algorithm).update(content).digest("hex");
    return `${algorithm.toUpperCase()}(${name})= ${digest}\n`;
  });
  return ["x.mf", Buffer.from(lines.join(""))];
}

test.each([
  ["tiny-vmware-style.ova", 131_584, 2 ** 20, true],
  ["tiny-ovirt-style.ova", 458_752, 2 ** 30, false],
])("%s", async (name, size, capacityBytes, hasManifest) => {
  const bytes = await readFile(new URL(`fixtures/ovf/made/${name}`, import.meta.url));
  await using opened = await open(bytes);
  expect(opened.hasManifest).toBe(hasManifest);
  expect(opened.disks).toEqual([expect.objectContaining({ capacityBytes })]);
  expect(await contentOf(opened.disks[0]?.open())).toHaveLength(size);
  await opened.verify();
});

test.each(["sha1", "sha256", "sha512"] as const)("a manifest of %s is verified", async (kind) => {
  const files: readonly Entry[] = [
    ["x.ovf", plain],
    ["disk.vmdk", disk],
  ];
  const good = await open(await ova(...files, manifest(kind, ...files)));
  await good.verify();
  expect((await contentOf(good.disks[0]?.open())).equals(disk)).toBe(true);

  const changed = Buffer.from(disk);
  changed[4000] = (changed[4000] as number) ^ 1;
  const bad = await open(
    await ova(["x.ovf", plain], ["disk.vmdk", changed], manifest(kind, ...files)),
  );
  await expect(bad.verify()).rejects.toMatchObject({ code: "IMAGE_CHECKSUM_MISMATCH" });

  const other = Buffer.from(plain.toString().replace("1048576", "2097152"));
  const forged = await ova(["x.ovf", other], ["disk.vmdk", disk], manifest(kind, ...files));
  await expect(open(forged)).rejects.toMatchObject({ code: "IMAGE_CHECKSUM_MISMATCH" });
});

test("a disk may lie before the descriptor, and members may be named ./x", async () => {
  const opened = await open(await ova(["./disk.vmdk", disk], ["./x.ovf", plain]));
  expect((await contentOf(opened.disks[0]?.open())).equals(disk)).toBe(true);
});

test("a gzip member is given out unpacked, in order", async () => {
  const packed = gzipSync(disk);
  const description = ovf(`ovf:href="d.gz" ovf:compression="gzip" ovf:size="${packed.length}"`);
  const opened = await open(await ova(["x.ovf", description], ["d.gz", packed]));
  const source = opened.disks[0]?.open();
  expect(source?.kind).toBe("forward");
  expect((await contentOf(source)).equals(disk)).toBe(true);
});

test("a gzip bomb ends at the limit", async () => {
  const packed = gzipSync(Buffer.alloc(80 * 2 ** 20));
  const description = ovf('ovf:href="d.gz" ovf:compression="gzip"');
  const opened = await openOva(memoryReader(await ova(["x.ovf", description], ["d.gz", packed])), {
    limits: { maxDecompressionRatio: 100 },
  });
  await expect(contentOf(opened.disks[0]?.open())).rejects.toMatchObject({
    code: "IMAGE_TOO_LARGE",
  });
});

test("a chunked file is one disk", async () => {
  const description = ovf('ovf:href="d" ovf:chunkSize="2000" ovf:size="5000"');
  const chunks = [0, 1, 2].map((index): Entry => [
    `d.00000000${index}`,
    disk.subarray(index * 2000, (index + 1) * 2000),
  ]);
  const opened = await open(await ova(["x.ovf", description], ...chunks));
  expect((await contentOf(opened.disks[0]?.open())).equals(disk)).toBe(true);

  const withoutSize = ovf('ovf:href="d" ovf:chunkSize="2000"');
  const short: Entry = ["d.000000000", disk.subarray(0, 1999)];
  for (const broken of [
    await ova(["x.ovf", description], ...chunks.slice(0, 2)),
    await ova(["x.ovf", description], ...chunks.slice(1)),
    await ova(["x.ovf", withoutSize], short, ...chunks.slice(1)),
  ]) {
    await expect(open(broken)).rejects.toMatchObject({ code: "IMAGE_CORRUPT" });
  }
});

describe("refused:", () => {
  const member: Entry = ["disk.vmdk", disk];
  test.each<[string, readonly Entry[], string]>([
    ["no descriptor", [member], "IMAGE_CORRUPT"],
    ["two descriptors", [["x.ovf", plain], ["y.ovf", plain], member], "IMAGE_CORRUPT"],
    ["a missing disk", [["x.ovf", plain]], "IMAGE_CORRUPT"],
    [
      "a disk of another size",
      [
        ["x.ovf", plain],
        ["disk.vmdk", disk.subarray(1)],
      ],
      "IMAGE_CORRUPT",
    ],
    ["a disk that is there twice", [["x.ovf", plain], member, member], "IMAGE_UNSAFE"],
    [
      "a symbolic link",
      [
        ["x.ovf", plain],
        ["disk.vmdk", Buffer.alloc(0), { type: "symlink", linkname: "/etc/passwd" }],
      ],
      "IMAGE_UNSAFE",
    ],
    [
      "a hard link beside a good disk",
      [["x.ovf", plain], member, ["l", Buffer.alloc(0), { type: "link", linkname: "disk.vmdk" }]],
      "IMAGE_UNSAFE",
    ],
    ["a member outside", [["x.ovf", plain], member, ["../y", disk]], "IMAGE_UNSAFE"],
    ["a reference outside", [["x.ovf", ovf('ovf:href="/etc/passwd"')]], "IMAGE_UNSAFE"],
    [
      "a broken manifest",
      [["x.ovf", plain], member, ["x.mf", Buffer.from("hello")]],
      "IMAGE_CORRUPT",
    ],
    ["a huge descriptor", [["x.ovf", Buffer.alloc(2 ** 20 + 1, " ")], member], "IMAGE_TOO_LARGE"],
  ])("%s", async (_name, entries, code) => {
    await expect(open(await ova(...entries))).rejects.toMatchObject({ code });
  });

  test("a compression other than gzip, when the disk is opened", async () => {
    const description = ovf('ovf:href="d" ovf:compression="bzip2"');
    const opened = await open(await ova(["x.ovf", description], ["d", disk]));
    expect(() => opened.disks[0]?.open()).toThrow(/compressed with "bzip2"/);
  });

  test("a manifest that names what is missing", async () => {
    const opened = await open(
      await ova(["x.ovf", plain], member, manifest("sha256", ["gone", disk])),
    );
    await expect(opened.verify()).rejects.toMatchObject({ code: "IMAGE_CORRUPT" });
  });

  test("every truncation", async () => {
    const bytes = await ova(["x.ovf", plain], member, manifest("sha256", member));
    for (let percent = 0; percent < 90; percent += 5) {
      const cut = bytes.subarray(0, Math.floor((bytes.length * percent) / 100));
      await expect(open(cut)).rejects.toMatchObject({ code: "IMAGE_TRUNCATED" });
    }
  });
});

test("manifests", () => {
  const parse = (text: string): unknown => [...parseManifest(Buffer.from(text))];
  const sha1 = "a".repeat(40);
  expect(parse(`SHA1(a b.vmdk)= ${sha1}\r\n\nsha-1 (c) =${sha1.toUpperCase()}`)).toEqual([
    ["a b.vmdk", [{ algorithm: "sha1", digest: sha1 }]],
    ["c", [{ algorithm: "sha1", digest: sha1 }]],
  ]);
  for (const text of [
    "x",
    `SHA1(a)= ${sha1}0`,
    `MD5(a)= ${"a".repeat(32)}`,
    `SHA256(a)= ${sha1}`,
  ]) {
    expect(() => parse(text), text).toThrow(/malformed/);
  }
  expect(() => parse(`SHA1(a)= ${sha1}\nSHA1(a)= ${"b".repeat(40)}`)).toThrow(/twice/);
});
