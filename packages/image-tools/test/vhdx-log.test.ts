import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, expect, test } from "vitest";
import { memoryReader, openDiskImage } from "../src/index.ts";
import { crc32c } from "../src/vhdx/crc32c.ts";
import { collectSparse } from "./support/collect.ts";
import { rawDisk } from "./support/made-images.ts";
import { runTool } from "./support/run-tool.ts";
import { temporaryDirectory } from "./support/temporary-directory.ts";

const SECTOR = 4096;
const HEADERS = [65_536, 131_072] as const;
const REGIONS = 196_608;
const GUID = Buffer.from("00112233445566778899aabbccddeeff", "hex");
const raw = Buffer.concat([rawDisk(3 * 1024 * 1024), Buffer.alloc(1024 * 1024)]);
let whole: Buffer;

beforeAll(async () => {
  await using folder = await temporaryDirectory();
  const source = join(folder.path, "source.raw");
  const target = join(folder.path, "image.vhdx");
  await writeFile(source, raw);
  const options = ["-f", "raw", "-O", "vhdx", "-o", "block_size=1M"];
  await runTool("qemu-img", "convert", ...options, source, target);
  whole = await readFile(target);
}, 60_000);

const logOffset = (image: Buffer): number => Number(image.readBigUInt64LE(HEADERS[0] + 72));
const logLength = (image: Buffer): number => image.readUInt32LE(HEADERS[0] + 68);

function blockTable(image: Buffer): number {
  const first = REGIONS + 16;
  const entry = image.readUInt32LE(first) === 0x2dc27766 ? first : first + 32;
  return Number(image.readBigUInt64LE(entry + 16));
}

/** Marks the log as one that has to be replayed. */
function makeDirty(image: Buffer): void {
  for (const offset of HEADERS) {
    GUID.copy(image, offset + 48);
    image.writeUInt32LE(0, offset + 4);
    image.writeUInt32LE(crc32c(image.subarray(offset, offset + SECTOR)), offset + 4);
  }
}

interface Entry {
  readonly at: number;
  readonly tail: number;
  readonly sequence: number;
  /** Where `sector` belongs in the file; `undefined` stands for a sector of zeros. */
  readonly offset: number;
  readonly sector: Buffer | undefined;
}

/** Writes an entry into the log, which is a ring. */
function writeEntry(image: Buffer, { at, tail, sequence, offset, sector }: Entry): void {
  const entry = Buffer.alloc(sector === undefined ? SECTOR : 2 * SECTOR);
  entry.write("loge");
  entry.writeUInt32LE(entry.length, 8);
  entry.writeUInt32LE(tail, 12);
  entry.writeBigUInt64LE(BigInt(sequence), 16);
  entry.writeUInt32LE(1, 24);
  GUID.copy(entry, 32);
  entry.writeBigUInt64LE(BigInt(image.length), 48);
  entry.writeBigUInt64LE(BigInt(image.length), 56);
  entry.writeBigUInt64LE(BigInt(offset), 64 + 16);
  entry.writeBigUInt64LE(BigInt(sequence), 64 + 24);
  if (sector === undefined) {
    entry.write("zero", 64);
    entry.writeBigUInt64LE(BigInt(SECTOR), 64 + 8);
  } else {
    entry.write("desc", 64);
    sector.copy(entry, 64 + 4, SECTOR - 4);
    sector.copy(entry, 64 + 8, 0, 8);
    sector.copy(entry, SECTOR);
    entry.write("data", SECTOR);
    entry.writeUInt32LE(0, SECTOR + 4);
    entry.writeUInt32LE(sequence, 2 * SECTOR - 4);
  }
  entry.writeUInt32LE(crc32c(entry), 4);
  for (let position = 0; position < entry.length; position += SECTOR) {
    const target = (at + position) % logLength(image);
    entry.copy(image, logOffset(image) + target, position, position + SECTOR);
  }
}

/** An image whose block table is only in the log; `entries` say how. */
function dirtyImage(entries: (lost: Buffer, table: number) => readonly Entry[]): Buffer {
  const image = Buffer.from(whole);
  const table = blockTable(image);
  const lost = Buffer.from(image.subarray(table, table + SECTOR));
  image.fill(0, table, table + SECTOR);
  makeDirty(image);
  for (const entry of entries(lost, table)) writeEntry(image, entry);
  return image;
}

const simple = (lost: Buffer, table: number): readonly Entry[] => [
  { at: 0, tail: 0, sequence: 7, offset: table, sector: lost },
];

async function readAll(image: Buffer): Promise<Buffer> {
  await using disk = await openDiskImage(memoryReader(image));
  expect(disk.warnings).toEqual([expect.stringContaining("log")]);
  expect("segments" in disk).toBe(false);
  return await collectSparse(disk.stream());
}

test("the log is replayed as qemu-img replays it", { timeout: 60_000 }, async () => {
  const image = dirtyImage(simple);
  expect((await readAll(image)).equals(raw)).toBe(true);

  await using folder = await temporaryDirectory();
  const path = join(folder.path, "dirty.vhdx");
  const repaired = join(folder.path, "repaired.raw");
  await writeFile(path, image);
  await runTool("qemu-img", "check", "-r", "all", "-f", "vhdx", path);
  await runTool("qemu-img", "convert", "-f", "vhdx", "-O", "raw", path, repaired);
  expect((await readFile(repaired)).equals(raw)).toBe(true);
});

test("entries are replayed in order, around the end of the ring", async () => {
  const image = dirtyImage((lost, table) => {
    const end = logLength(whole);
    return [
      { at: end - 2 * SECTOR, tail: 0, sequence: 5, offset: table, sector: undefined },
      { at: end - SECTOR, tail: end - 2 * SECTOR, sequence: 6, offset: table, sector: lost },
    ];
  });
  expect((await readAll(image)).equals(raw)).toBe(true);
});

test("an older sequence does not count", async () => {
  const image = dirtyImage((lost, table) => [
    { at: 8 * SECTOR, tail: 8 * SECTOR, sequence: 3, offset: table, sector: undefined },
    ...simple(lost, table),
  ]);
  expect((await readAll(image)).equals(raw)).toBe(true);
});

test.each<readonly [string, string, (image: Buffer) => void]>([
  ["no entry at all", "IMAGE_CORRUPT", (i) => void i.fill(0, logOffset(i), logOffset(i) + SECTOR)],
  ["a wrong checksum", "IMAGE_CORRUPT", (i) => void (i[logOffset(i) + 2 * SECTOR - 40] = 1)],
  ["an entry of another log", "IMAGE_CORRUPT", (i) => void (i[logOffset(i) + 32] = 1)],
  [
    "a missing tail",
    "IMAGE_CORRUPT",
    (i) => rewrite(i, (entry) => entry.writeUInt32LE(SECTOR, 12)),
  ],
  ["too many descriptors", "IMAGE_CORRUPT", (i) => rewrite(i, (e) => e.writeUInt32LE(9999, 24))],
  ["an unknown descriptor", "IMAGE_CORRUPT", (i) => rewrite(i, (e) => void e.write("what", 64))],
  ["an old data sector", "IMAGE_CORRUPT", (i) => rewrite(i, (e) => void (e[2 * SECTOR - 4] = 9))],
  ["a longer file", "IMAGE_TRUNCATED", (i) => rewrite(i, (e) => void (e[53] = 9))],
])("a log with %s is refused", async (_name, code, damage) => {
  const image = dirtyImage(simple);
  damage(image);
  await expect(openDiskImage(memoryReader(image))).rejects.toMatchObject({ code });
});

function rewrite(image: Buffer, change: (entry: Buffer) => void): void {
  const entry = image.subarray(logOffset(image), logOffset(image) + 2 * SECTOR);
  change(entry);
  entry.writeUInt32LE(0, 4);
  entry.writeUInt32LE(crc32c(entry), 4);
}
