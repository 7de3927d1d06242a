import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, expect, test } from "vitest";
import { memoryReader, openQcow2, type ImageErrorCode } from "../src/index.ts";
import { collectSparse } from "./support/collect.ts";
import { makeQcow2, rawDisk } from "./support/made-images.ts";
import { runTool } from "./support/run-tool.ts";
import { temporaryDirectory } from "./support/temporary-directory.ts";

const CLUSTER = 4096;
const raw = rawDisk();
let plain: Buffer;
let compressed: Buffer;

beforeAll(async () => {
  await using directory = await temporaryDirectory();
  plain = await readFile(await makeQcow2(directory.path, raw, "-o", `cluster_size=${CLUSTER}`));
  const options = ["-c", "-o", `cluster_size=${CLUSTER}`];
  compressed = await readFile(await makeQcow2(directory.path, raw, ...options));
}, 60_000);

const offset64 = (image: Buffer, at: number): number =>
  Number(image.readBigUInt64BE(at) & 0xfffffffffffe00n);
const l1 = (image: Buffer): number => offset64(image, 40);
const l2 = (image: Buffer): number => offset64(image, l1(image));
const refcountTable = (image: Buffer): number => offset64(image, 48);

/** Positions of the L2 entries in use, in the first L2 table. */
function usedEntries(image: Buffer): readonly number[] {
  const positions: number[] = [];
  for (let at = l2(image); at < l2(image) + CLUSTER; at += 8) {
    if (image.readBigUInt64BE(at) !== 0n) positions.push(at);
  }
  return positions;
}

function setSnapshots(image: Buffer, count: number, offset: number): void {
  image.writeUInt32BE(count, 60);
  image.writeBigUInt64BE(BigInt(offset), 64);
}

async function expectRefusal(
  base: Buffer,
  patch: (image: Buffer) => void,
  code: ImageErrorCode,
): Promise<void> {
  const image = Buffer.from(base);
  patch(image);
  await expect(openQcow2(memoryReader(image))).rejects.toMatchObject({ code });
}

test("the unchanged images are accepted", async () => {
  for (const bytes of [plain, compressed]) {
    await using image = await openQcow2(memoryReader(bytes));
    expect((await collectSparse(image.stream())).equals(raw)).toBe(true);
  }
});

const headerCases: readonly (readonly [string, ImageErrorCode, (image: Buffer) => void])[] = [
  ["magic", "IMAGE_CORRUPT", (i) => i.writeUInt8(0, 0)],
  ["version 0", "IMAGE_UNSUPPORTED", (i) => i.writeUInt32BE(0, 4)],
  ["version 4", "IMAGE_UNSUPPORTED", (i) => i.writeUInt32BE(4, 4)],
  ["backing file", "IMAGE_UNSAFE", (i) => i.writeUInt32BE(512, 12)],
  ["backing file beyond 4 GiB", "IMAGE_UNSAFE", (i) => i.writeUInt32BE(1, 8)],
  ["backing name without offset", "IMAGE_UNSAFE", (i) => i.writeUInt32BE(9, 16)],
  ["cluster bits 8", "IMAGE_CORRUPT", (i) => i.writeUInt32BE(8, 20)],
  ["cluster bits 22", "IMAGE_CORRUPT", (i) => i.writeUInt32BE(22, 20)],
  ["size 2^63", "IMAGE_TOO_LARGE", (i) => i.writeUInt32BE(0x80000000, 24)],
  ["size 2^53 + 512", "IMAGE_TOO_LARGE", (i) => i.writeBigUInt64BE(2n ** 53n + 512n, 24)],
  ["AES", "IMAGE_UNSAFE", (i) => i.writeUInt32BE(1, 32)],
  ["LUKS", "IMAGE_UNSAFE", (i) => i.writeUInt32BE(2, 32)],
  ["encryption 7", "IMAGE_CORRUPT", (i) => i.writeUInt32BE(7, 32)],
  ["L1 entries 2^32-1", "IMAGE_TOO_LARGE", (i) => i.writeUInt32BE(0xffffffff, 36)],
  ["L1 too short", "IMAGE_CORRUPT", (i) => i.writeUInt32BE(0, 36)],
  ["L1 at the header", "IMAGE_CORRUPT", (i) => i.writeBigUInt64BE(0n, 40)],
  ["L1 unaligned", "IMAGE_CORRUPT", (i) => i.writeUInt32BE(l1(i) + 512, 44)],
  ["L1 beyond the end", "IMAGE_TRUNCATED", (i) => i.writeUInt32BE(1, 40)],
  ["L1 beyond 2^53", "IMAGE_TRUNCATED", (i) => i.writeUInt32BE(0xffffffff, 40)],
  [
    "L1 on the refcount table",
    "IMAGE_CORRUPT",
    (i) => i.writeBigUInt64BE(BigInt(refcountTable(i)), 40),
  ],
  ["no refcount table", "IMAGE_CORRUPT", (i) => i.writeUInt32BE(0, 56)],
  ["huge refcount table", "IMAGE_TOO_LARGE", (i) => i.writeUInt32BE(0xffffffff, 56)],
  ["snapshot table beyond the end", "IMAGE_TRUNCATED", (i) => setSnapshots(i, 1, 2 ** 40)],
  ["snapshot table over the L2 table", "IMAGE_CORRUPT", (i) => setSnapshots(i, 1, l2(i))],
  ["too many snapshots", "IMAGE_TOO_LARGE", (i) => i.writeUInt32BE(0xffffffff, 60)],
  ["corrupt bit", "IMAGE_CORRUPT", (i) => i.writeUInt32BE(2, 76)],
  ["data file bit", "IMAGE_UNSAFE", (i) => i.writeUInt32BE(4, 76)],
  ["unknown bit 5", "IMAGE_UNSUPPORTED", (i) => i.writeUInt32BE(32, 76)],
  ["unknown bit 32", "IMAGE_UNSUPPORTED", (i) => i.writeUInt32BE(1, 72)],
  ["extended L2 with 4 KiB clusters", "IMAGE_CORRUPT", (i) => i.writeUInt32BE(16, 76)],
  ["compression bit without type", "IMAGE_CORRUPT", (i) => i.writeUInt32BE(8, 76)],
  ["compression type without bit", "IMAGE_CORRUPT", (i) => i.writeUInt8(1, 104)],
  ["compression type 9", "IMAGE_UNSUPPORTED", (i) => i.writeUInt8(9, 104)],
  ["refcount order 7", "IMAGE_CORRUPT", (i) => i.writeUInt32BE(7, 96)],
  ["header length 72", "IMAGE_CORRUPT", (i) => i.writeUInt32BE(72, 100)],
  ["header longer than a cluster", "IMAGE_CORRUPT", (i) => i.writeUInt32BE(8192, 100)],
  ["endless extension", "IMAGE_CORRUPT", (i) => i.writeUInt32BE(0xffffffff, 116)],
  ["data file name", "IMAGE_UNSAFE", (i) => i.writeUInt32BE(0x44415441, 112)],
];

test.each(headerCases)("header: %s is %s", async (_name, code, patch) => {
  await expectRefusal(plain, patch, code);
});

const tableCases: readonly (readonly [string, ImageErrorCode, (image: Buffer) => void])[] = [
  ["L1 entry with reserved low bits", "IMAGE_CORRUPT", (i) => i.writeUInt8(1, l1(i) + 7)],
  ["L1 entry with reserved high bits", "IMAGE_CORRUPT", (i) => i.writeUInt8(0xc0, l1(i))],
  ["L2 table unaligned", "IMAGE_CORRUPT", (i) => i.writeUInt32BE(l2(i) + 512, l1(i) + 4)],
  ["L2 table on the header", "IMAGE_CORRUPT", (i) => i.writeBigUInt64BE(1n << 63n, l1(i))],
  ["L2 table on the L1 table", "IMAGE_CORRUPT", (i) => i.writeUInt32BE(l1(i), l1(i) + 4)],
  ["L2 table beyond the end", "IMAGE_TRUNCATED", (i) => i.writeUInt8(0x01, l1(i) + 2)],
  [
    "data with reserved bits",
    "IMAGE_CORRUPT",
    (i) => i.writeUInt8(0x10, (usedEntries(i)[0] as number) + 7),
  ],
  [
    "data on the L2 table",
    "IMAGE_CORRUPT",
    (i) => i.writeBigUInt64BE(BigInt(l2(i)), usedEntries(i)[0] as number),
  ],
  [
    "data on the header",
    "IMAGE_CORRUPT",
    (i) => i.writeBigUInt64BE(1n << 63n, usedEntries(i)[0] as number),
  ],
  [
    "data on a refcount block",
    "IMAGE_CORRUPT",
    (i) => i.writeBigUInt64BE(BigInt(offset64(i, refcountTable(i))), usedEntries(i)[0] as number),
  ],
  [
    "the same data twice",
    "IMAGE_UNSAFE",
    (i) =>
      i.writeBigUInt64BE(
        i.readBigUInt64BE(usedEntries(i)[0] as number),
        usedEntries(i)[1] as number,
      ),
  ],
  [
    "data beyond the end",
    "IMAGE_TRUNCATED",
    (i) => i.writeUInt8(0x01, (usedEntries(i)[0] as number) + 2),
  ],
];

test.each(tableCases)("tables: %s is %s", async (_name, code, patch) => {
  await expectRefusal(plain, patch, code);
});

test("the same compressed data twice is refused", async () => {
  await expectRefusal(
    compressed,
    (image) => {
      const entries = usedEntries(image).filter((at) => (image.readUInt8(at) & 0x40) !== 0);
      image.writeBigUInt64BE(image.readBigUInt64BE(entries[0] as number), entries[9] as number);
    },
    "IMAGE_UNSAFE",
  );
});

test("compressed data inside a data cluster, or with the copied bit, is refused", async () => {
  const pointAt = (target: (image: Buffer) => bigint) => (image: Buffer) =>
    image.writeBigUInt64BE(target(image), usedEntries(image)[5] as number);
  await expectRefusal(
    plain,
    pointAt((i) => (1n << 62n) | BigInt(l2(i))),
    "IMAGE_CORRUPT",
  );
  await expectRefusal(
    plain,
    pointAt(() => 3n << 62n),
    "IMAGE_CORRUPT",
  );
  await expectRefusal(
    plain,
    pointAt(() => (1n << 62n) | (1n << 40n)),
    "IMAGE_TRUNCATED",
  );
});

test("subclusters: the same host cluster for two clusters is refused", async () => {
  await using directory = await temporaryDirectory();
  const path = join(directory.path, "image.qcow2");
  await runTool("qemu-img", "create", "-q", "-f", "qcow2", "-o", "extended_l2=on", path, "1M");
  const writes = ["-c", "write -P 1 32k 4k", "-c", "write -P 2 96k 4k"];
  await runTool("qemu-io", "-f", "qcow2", ...writes, path);
  const bytes = await readFile(path);
  await using image = await openQcow2(memoryReader(bytes));
  expect(image.allocatedBytes).toBe(8192);
  const table = l2(bytes);
  await expectRefusal(bytes, (i) => i.copy(i, table + 16, table, table + 8), "IMAGE_UNSAFE");
  const bothBits = (i: Buffer): void => void i.copy(i, table + 8, table + 12, table + 16);
  await expectRefusal(bytes, bothBits, "IMAGE_CORRUPT");
});

test("a disk above the limit is refused", async () => {
  const opening = openQcow2(memoryReader(plain), { maxVirtualSizeBytes: raw.length - 1 });
  await expect(opening).rejects.toMatchObject({ code: "IMAGE_TOO_LARGE" });
});

test("an aborted signal ends opening with its reason", async () => {
  const reason = new Error("stop");
  const opening = openQcow2(memoryReader(plain), { signal: AbortSignal.abort(reason) });
  await expect(opening).rejects.toBe(reason);
});
