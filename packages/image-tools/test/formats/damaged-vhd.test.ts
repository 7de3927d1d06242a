import { testDamage, type DamageCase, type Layout, type Patch } from "../support/made-layouts.ts";

const vhd: Layout = { format: "vhd", driver: "vpc", options: "force_size=on" };

const vhdSum = (image: Buffer, offset: number, length: number, at: number): void => {
  image.writeUInt32BE(0, offset + at);
  let sum = 0;
  for (let index = offset; index < offset + length; index += 1) sum += image[index] as number;
  image.writeUInt32BE(~sum >>> 0, offset + at);
};
const vhdFooter =
  (change: (footer: Buffer) => void): Patch =>
  (image) => {
    change(image.subarray(image.length - 512));
    vhdSum(image, image.length - 512, 512, 64);
    return undefined;
  };
const vhdHeader =
  (change: (header: Buffer) => void): Patch =>
  (image) => {
    change(image.subarray(512, 1536));
    vhdSum(image, 512, 1024, 36);
    return undefined;
  };
const vhdTable = (image: Buffer): number => image.readUInt32BE(512 + 20);

const CASES: readonly DamageCase[] = [
  ["VHD with a wrong checksum", vhd, "IMAGE_CORRUPT", (i) => void (i[i.length - 20] = 1)],
  ["VHD with differences", vhd, "IMAGE_UNSAFE", vhdFooter((footer) => footer.writeUInt32BE(4, 60))],
  ["VHD of type 9", vhd, "IMAGE_CORRUPT", vhdFooter((footer) => footer.writeUInt32BE(9, 60))],
  [
    "VHD of 2^62 bytes",
    vhd,
    "IMAGE_TOO_LARGE",
    vhdFooter((footer) => footer.writeUInt32BE(0x40000000, 48)),
  ],
  [
    "VHD header beyond the end",
    vhd,
    "IMAGE_TRUNCATED",
    vhdFooter((footer) => footer.writeUInt32BE(0x7fffffff, 16)),
  ],
  [
    "VHD with 2^32 blocks",
    vhd,
    "IMAGE_TOO_LARGE",
    vhdHeader((header) => header.writeUInt32BE(0xffffffff, 28)),
  ],
  [
    "VHD with too few blocks",
    vhd,
    "IMAGE_CORRUPT",
    vhdHeader((header) => header.writeUInt32BE(0, 28)),
  ],
  [
    "VHD with blocks of 3 bytes",
    vhd,
    "IMAGE_CORRUPT",
    vhdHeader((header) => header.writeUInt32BE(3, 32)),
  ],
  [
    "VHD table beyond the end",
    vhd,
    "IMAGE_TRUNCATED",
    vhdHeader((header) => header.writeUInt32BE(0x7fffffff, 16)),
  ],
  [
    "VHD block beyond the end",
    vhd,
    "IMAGE_TRUNCATED",
    (image) => void image.writeUInt32BE(0x7fffffff, vhdTable(image)),
  ],
  [
    "VHD block over its table",
    vhd,
    "IMAGE_CORRUPT",
    (image) => void image.writeUInt32BE(1, vhdTable(image)),
  ],
  [
    "VHD block used twice",
    vhd,
    "IMAGE_UNSAFE",
    (image) => void image.writeUInt32BE(image.readUInt32BE(vhdTable(image)), vhdTable(image) + 12),
  ],
];

testDamage([vhd], CASES);
