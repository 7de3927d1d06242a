import { crc32c } from "../../src/vhdx/crc32c.ts";
import { testDamage, type DamageCase, type Layout, type Patch } from "../support/made-layouts.ts";

const vhdx: Layout = { format: "vhdx", driver: "vhdx", options: "block_size=1M" };

const vhdxSum = (image: Buffer, offset: number, length: number): void => {
  image.writeUInt32LE(0, offset + 4);
  image.writeUInt32LE(crc32c(image.subarray(offset, offset + length)), offset + 4);
};
const vhdxHeaders =
  (change: (header: Buffer) => void): Patch =>
  (image) => {
    for (const offset of [65_536, 131_072]) {
      change(image.subarray(offset, offset + 4096));
      vhdxSum(image, offset, 4096);
    }
    return undefined;
  };
const vhdxRegions =
  (change: (table: Buffer) => void): Patch =>
  (image) => {
    for (const offset of [196_608, 262_144]) {
      change(image.subarray(offset, offset + 65_536));
      vhdxSum(image, offset, 65_536);
    }
    return undefined;
  };
const regionAt = (image: Buffer, guidStart: number): number => {
  const table = 196_608 + 16;
  const entry = image.readUInt32LE(table) === guidStart ? table : table + 32;
  return image.readUInt32LE(entry + 16);
};
const blockTable = (image: Buffer): number => regionAt(image, 0x2dc27766);
const metadataItem = (image: Buffer, guidStart: number): number => {
  const metadata = regionAt(image, 0x8b7ca206);
  for (let at = metadata + 32; ; at += 32) {
    if (image.readUInt32LE(at) === guidStart) return metadata + image.readUInt32LE(at + 16);
  }
};

const CASES: readonly DamageCase[] = [
  [
    "VHDX with damaged headers",
    vhdx,
    "IMAGE_CORRUPT",
    (image) => void image.fill(1, 65_600, 131_200),
  ],
  [
    "VHDX with an empty log to replay",
    vhdx,
    "IMAGE_CORRUPT",
    vhdxHeaders((header) => void (header[48] = 1)),
  ],
  [
    "VHDX of version 2",
    vhdx,
    "IMAGE_UNSUPPORTED",
    vhdxHeaders((header) => header.writeUInt16LE(2, 66)),
  ],
  [
    "VHDX with a log beyond the end",
    vhdx,
    "IMAGE_TRUNCATED",
    vhdxHeaders((header) => header.writeUInt32LE(0x7f00, 76)),
  ],
  [
    "VHDX with 2^32 regions",
    vhdx,
    "IMAGE_CORRUPT",
    vhdxRegions((table) => table.writeUInt32LE(0xffffffff, 8)),
  ],
  [
    "VHDX without regions",
    vhdx,
    "IMAGE_CORRUPT",
    vhdxRegions((table) => table.writeUInt32LE(0, 8)),
  ],
  [
    "VHDX with an unknown region",
    vhdx,
    "IMAGE_UNSUPPORTED",
    vhdxRegions((table) => {
      table.writeUInt32LE(3, 8);
      table.writeUInt32LE(1, 16 + 2 * 32);
      table.writeUInt32LE(1, 16 + 2 * 32 + 28);
    }),
  ],
  [
    "VHDX with regions in one place",
    vhdx,
    "IMAGE_CORRUPT",
    vhdxRegions((table) => table.copy(table, 48 + 16, 16 + 16, 16 + 24)),
  ],
  [
    "VHDX with a parent",
    vhdx,
    "IMAGE_UNSAFE",
    (image) => void (image[metadataItem(image, 0xcaa16737) + 4] = 2),
  ],
  [
    "VHDX with blocks of 3 bytes",
    vhdx,
    "IMAGE_CORRUPT",
    (image) => void image.writeUInt32LE(3, metadataItem(image, 0xcaa16737)),
  ],
  [
    "VHDX with sectors of 3 bytes",
    vhdx,
    "IMAGE_CORRUPT",
    (image) => void image.writeUInt32LE(3, metadataItem(image, 0x8141bf1d)),
  ],
  [
    "VHDX of 2^62 bytes",
    vhdx,
    "IMAGE_TOO_LARGE",
    (image) => void image.writeUInt32LE(0x40000000, metadataItem(image, 0x2fa54224) + 4),
  ],
  [
    "VHDX larger than its table",
    vhdx,
    "IMAGE_CORRUPT",
    (image) => void image.writeUInt32LE(0x100, metadataItem(image, 0x2fa54224) + 4),
  ],
  [
    "VHDX block beyond the end",
    vhdx,
    "IMAGE_TRUNCATED",
    (image) => void image.writeUInt32LE(6, blockTable(image) + 4),
  ],
  [
    "VHDX block over the header",
    vhdx,
    "IMAGE_CORRUPT",
    (image) => void image.writeUInt32LE(6, blockTable(image)),
  ],
  [
    "VHDX block with a reserved bit",
    vhdx,
    "IMAGE_CORRUPT",
    (image) => void (image[blockTable(image) + 1] = 1),
  ],
  [
    "VHDX block of a differencing disk",
    vhdx,
    "IMAGE_CORRUPT",
    (image) => void (image[blockTable(image)] = 7),
  ],
  [
    "VHDX block used twice",
    vhdx,
    "IMAGE_UNSAFE",
    (image) =>
      void image.copy(image, blockTable(image) + 8, blockTable(image), blockTable(image) + 8),
  ],
];

testDamage([vhdx], CASES);
