import { expect, test } from "vitest";
import { memoryReader, openDiskImage } from "../../src/index.ts";
import { collectSparse } from "../support/collect.ts";
import {
  sampleOf,
  setWord,
  testDamage,
  type DamageCase,
  type Layout,
  type Patch,
} from "../support/made-layouts.ts";

const sparse: Layout = { format: "vmdk", driver: "vmdk" };
const streamed: Layout = { ...sparse, options: "subformat=streamOptimized" };

const gdOffset = (image: Buffer): number => image.readUInt32LE(56) * 512;
const gtOffset = (image: Buffer): number => image.readUInt32LE(gdOffset(image)) * 512;
const firstGrain = (image: Buffer): number => {
  const table = gtOffset(image);
  for (let at = table; at < table + 2048; at += 4) if (image.readUInt32LE(at) > 1) return at;
  throw new Error("the image has no grains");
};
/** As VMware writes it: the directory is only known at the end. */
const withFooter = (image: Buffer): Buffer => {
  const marker = Buffer.alloc(512);
  marker.writeUInt32LE(1, 0);
  marker.writeUInt32LE(3, 12);
  const footer = Buffer.from(image.subarray(0, 512));
  image.fill(0xff, 56, 64);
  return Buffer.concat([image, marker, footer, Buffer.alloc(512)]);
};
const describePatch =
  (text: string, replacement: string): Patch =>
  (image) => {
    const at = image.indexOf(text);
    image.write(replacement.padEnd(text.length), at, "latin1");
    return undefined;
  };

const CASES: readonly DamageCase[] = [
  ["VMDK with converted line ends", sparse, "IMAGE_CORRUPT", setWord(73, 0x0a0d0a20)],
  ["VMDK version 9", sparse, "IMAGE_UNSUPPORTED", setWord(4, 9)],
  ["VMDK without capacity", sparse, "IMAGE_UNSAFE", setWord(12, 0)],
  ["VMDK of 2^62 sectors", sparse, "IMAGE_TOO_LARGE", setWord(16, 0x40000000)],
  ["VMDK with grains of 3 sectors", sparse, "IMAGE_CORRUPT", setWord(20, 3)],
  ["VMDK with 2^31 table entries", sparse, "IMAGE_CORRUPT", setWord(44, 2 ** 31)],
  ["VMDK directory beyond the end", sparse, "IMAGE_TRUNCATED", setWord(56, 0x7fffffff)],
  ["VMDK directory beyond 2^53", sparse, "IMAGE_TRUNCATED", setWord(60, 0x7fffffff)],
  ["VMDK with unknown compression", sparse, "IMAGE_UNSUPPORTED", setWord(77, 9)],
  ["VMDK descriptor too large", sparse, "IMAGE_TOO_LARGE", setWord(36, 1_000_000)],
  ["VMDK without descriptor", sparse, "IMAGE_UNSAFE", setWord(28, 0)],
  [
    "VMDK with a parent",
    sparse,
    "IMAGE_UNSAFE",
    describePatch("parentCID=ffffffff", "parentCID=12345678"),
  ],
  [
    "VMDK whose descriptor names a path",
    sparse,
    "IMAGE_UNSAFE",
    describePatch('SPARSE "image', 'SPARSE "/mage'),
  ],
  [
    "VMDK whose descriptor is flat",
    sparse,
    "IMAGE_UNSAFE",
    describePatch("monolithicSparse", "monolithicFlat  "),
  ],
  ["VMDK of an ESX format", sparse, "IMAGE_UNSUPPORTED", (image) => void image.write("COWD")],
  [
    "VMDK table beyond the end",
    sparse,
    "IMAGE_TRUNCATED",
    (image) => void image.writeUInt32LE(0x7fffffff, gdOffset(image)),
  ],
  [
    "VMDK table over the directory",
    sparse,
    "IMAGE_CORRUPT",
    (image) => {
      image.fill(0, gdOffset(image) + 4, gdOffset(image) + 2048);
      image.writeUInt32LE(gdOffset(image) / 512, gdOffset(image));
      return undefined;
    },
  ],
  [
    "VMDK grain beyond the end",
    sparse,
    "IMAGE_TRUNCATED",
    (image) => void image.writeUInt32LE(0x7fffff00, firstGrain(image)),
  ],
  [
    "VMDK grain in its own table",
    sparse,
    "IMAGE_CORRUPT",
    (image) => void image.writeUInt32LE(gtOffset(image) / 512, firstGrain(image)),
  ],
  [
    "VMDK grain used twice",
    sparse,
    "IMAGE_UNSAFE",
    (image) =>
      void image.writeUInt32LE(image.readUInt32LE(firstGrain(image)), gtOffset(image) + 100),
  ],
  [
    "streamed VMDK with a grain of another place",
    streamed,
    "IMAGE_CORRUPT",
    (image) => void image.writeUInt32LE(77, image.readUInt32LE(firstGrain(image)) * 512),
  ],
  [
    "streamed VMDK with an endless grain",
    streamed,
    "IMAGE_CORRUPT",
    (image) => void image.writeUInt32LE(2 ** 31, image.readUInt32LE(firstGrain(image)) * 512 + 8),
  ],
  [
    "streamed VMDK with an empty grain",
    streamed,
    "IMAGE_CORRUPT",
    (image) => void image.writeUInt32LE(0, image.readUInt32LE(firstGrain(image)) * 512 + 8),
  ],
  [
    "streamed VMDK with a damaged grain",
    streamed,
    "IMAGE_CORRUPT",
    (image) => {
      const at = image.readUInt32LE(firstGrain(image)) * 512 + 12;
      image.fill(0xff, at + 20, at + 40);
      return undefined;
    },
  ],
  ["streamed VMDK without end", streamed, "IMAGE_TRUNCATED", (image) => image.subarray(0, -512)],
  [
    "streamed VMDK with something behind it",
    streamed,
    "IMAGE_CORRUPT",
    (image) => void image.writeUInt32LE(99, image.length - 1024 + 28),
  ],
  [
    "streamed VMDK with its directory in a footer that is missing",
    streamed,
    "IMAGE_TRUNCATED",
    (image) => void image.fill(0xff, 56, 64),
  ],
  [
    "streamed VMDK whose footer disagrees",
    streamed,
    "IMAGE_CORRUPT",
    (image) => {
      const whole = withFooter(image);
      whole.writeUInt32LE(99, whole.length - 1024 + 28);
      return whole;
    },
  ],
];

testDamage([sparse, streamed], CASES);

test("a streamed VMDK with its directory in a footer is read", async () => {
  const image = await sampleOf(streamed);
  await using plain = await openDiskImage(memoryReader(Buffer.from(image)));
  const expected = await collectSparse(plain.stream());
  await using disk = await openDiskImage(memoryReader(withFooter(image)));
  expect((await collectSparse(disk.stream())).equals(expected)).toBe(true);
});
