import { readFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { describe, expect, test } from "vitest";
import {
  memoryReader,
  openDiskImage,
  openFileReader,
  type DiskFormat,
  type DiskImage,
  type ImageErrorCode,
} from "../src/index.ts";
import { crc32c } from "../src/vhdx/crc32c.ts";
import { collectExtents, collectSparse } from "./support/collect.ts";
import { noise, rawDisk } from "./support/made-images.ts";
import { runTool } from "./support/run-tool.ts";
import { temporaryDirectory } from "./support/temporary-directory.ts";
import { writeFile } from "node:fs/promises";

const MEBIBYTE = 1024 * 1024;

interface Layout {
  readonly format: DiskFormat;
  readonly driver: string;
  readonly options?: string;
}

const LAYOUTS: readonly (readonly [string, Layout])[] = [
  ["VMDK monolithicSparse", { format: "vmdk", driver: "vmdk" }],
  ["VMDK with zeroed grains", { format: "vmdk", driver: "vmdk", options: "zeroed_grain=on" }],
  [
    "VMDK streamOptimized",
    { format: "vmdk", driver: "vmdk", options: "subformat=streamOptimized" },
  ],
  ["VMDK monolithicFlat", { format: "vmdk", driver: "vmdk", options: "subformat=monolithicFlat" }],
  [
    "VMDK twoGbMaxExtentSparse",
    { format: "vmdk", driver: "vmdk", options: "subformat=twoGbMaxExtentSparse" },
  ],
  [
    "VMDK twoGbMaxExtentFlat",
    { format: "vmdk", driver: "vmdk", options: "subformat=twoGbMaxExtentFlat" },
  ],
  ["VDI dynamic", { format: "vdi", driver: "vdi" }],
  ["VDI static", { format: "vdi", driver: "vdi", options: "static=on" }],
  ["VHD dynamic", { format: "vhd", driver: "vpc" }],
  ["VHD dynamic with exact size", { format: "vhd", driver: "vpc", options: "force_size=on" }],
  ["VHD fixed", { format: "vhd", driver: "vpc", options: "subformat=fixed" }],
  ["VHDX dynamic", { format: "vhdx", driver: "vhdx" }],
  ["VHDX fixed", { format: "vhdx", driver: "vhdx", options: "subformat=fixed" }],
  ["VHDX with 1 MiB blocks", { format: "vhdx", driver: "vhdx", options: "block_size=1M" }],
];

async function make(folder: string, raw: Uint8Array, layout: Layout): Promise<string> {
  const source = join(folder, "source.raw");
  const target = join(folder, `image.${layout.driver}`);
  await writeFile(source, raw);
  const options = layout.options === undefined ? [] : ["-o", layout.options];
  const convert = ["convert", "-f", "raw", "-O", layout.driver, ...options];
  await runTool("qemu-img", ...convert, source, target);
  return target;
}

async function openMade(path: string): Promise<DiskImage> {
  return openDiskImage(await openFileReader(path), {
    resolveExtent: (name) => openFileReader(join(dirname(path), basename(name))),
  });
}

describe("images written by qemu-img", () => {
  test.each(LAYOUTS)(
    "%s: content equals the source",
    { timeout: 60_000 },
    async (_name, layout) => {
      await using folder = await temporaryDirectory();
      // Neither the disk nor its last block are whole multiples of the blocks.
      const raw = Buffer.concat([
        rawDisk(3 * MEBIBYTE),
        Buffer.alloc(9 * MEBIBYTE),
        noise(MEBIBYTE + 70 * 512, 5),
      ]);
      const path = await make(folder.path, raw, layout);
      const expected = join(folder.path, "expected.raw");
      await runTool("qemu-img", "convert", "-f", layout.driver, "-O", "raw", path, expected);
      await using image = await openMade(path);
      expect(image).toMatchObject({ format: layout.format, warnings: [] });
      const content = await collectSparse(image.stream());
      const reference = await readFile(expected);
      expect(content.equals(reference)).toBe(true);
      for (const [offset, length] of [
        [0, 512],
        [3 * MEBIBYTE - 1000, 3000],
        [content.length - 70_001, 70_001],
        [12 * MEBIBYTE + 1, 65_536],
      ] as const) {
        const bytes = await image.read(offset, length);
        expect(bytes.equals(reference.subarray(offset, offset + length))).toBe(true);
      }
      await image.check();
    },
  );

  test.each(LAYOUTS)(
    "%s: an empty disk is one hole",
    { timeout: 60_000 },
    async (_name, layout) => {
      await using folder = await temporaryDirectory();
      const path = join(folder.path, "image");
      const options = layout.options === undefined ? [] : ["-o", layout.options];
      await runTool("qemu-img", "create", "-q", "-f", layout.driver, ...options, path, "64M");
      await using image = await openMade(path);
      const extents = await collectExtents(image.stream());
      expect(extents).toEqual([{ type: "hole", length: image.virtualSizeBytes }]);
    },
  );

  test("reads outside the disk are refused", async () => {
    await using image = await openDiskImage(memoryReader(rawDisk()));
    for (const [offset, length] of [
      [-1, 1],
      [0, -1],
      [MEBIBYTE, 1],
      [0.5, 1],
      [0, Number.NaN],
    ] as const) {
      await expect(image.read(offset, length)).rejects.toMatchObject({
        code: "IMAGE_INVALID_ARGUMENT",
      });
    }
    expect((await image.read(MEBIBYTE, 0)).length).toBe(0);
  });

  test("an aborted call rejects with its reason", async () => {
    const signal = AbortSignal.abort(new Error("enough"));
    const reader = memoryReader(rawDisk());
    await expect(openDiskImage(reader, { signal })).rejects.toThrow("enough");
    await using image = await openDiskImage(reader);
    await expect(image.read(0, 1, { signal })).rejects.toThrow("enough");
    await expect(collectSparse(image.stream({ signal }))).rejects.toThrow("enough");
  });
});

describe("an expected format", () => {
  test("opens raw disks on which nothing is recognised, and text", async () => {
    for (const bytes of [Buffer.alloc(100), Buffer.from("plain text"), noise(2048)]) {
      await using image = await openDiskImage(memoryReader(bytes), { expectedFormat: "raw" });
      expect(image).toMatchObject({ format: "raw", warnings: [], virtualSizeBytes: bytes.length });
    }
  });

  test.each([
    ["raw", "image.vmdk"],
    ["qcow2", "image.vmdk"],
    ["vmdk", "source.raw"],
  ] as const)("%s refuses %s", async (expectedFormat, file) => {
    await using folder = await temporaryDirectory();
    await make(folder.path, rawDisk(), { format: "vmdk", driver: "vmdk" });
    const bytes = await readFile(join(folder.path, file));
    await expect(openDiskImage(memoryReader(bytes), { expectedFormat })).rejects.toMatchObject({
      code: "IMAGE_FORMAT_MISMATCH",
    });
  });
});

describe("damaged images", () => {
  type Patch = (image: Buffer) => Buffer | undefined;
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
  const setWord =
    (at: number, value: number): Patch =>
    (image) => {
      image.writeUInt32LE(value, at);
      return undefined;
    };
  const describePatch =
    (text: string, replacement: string): Patch =>
    (image) => {
      const at = image.indexOf(text);
      image.write(replacement.padEnd(text.length), at, "latin1");
      return undefined;
    };
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

  const sparse: Layout = { format: "vmdk", driver: "vmdk" };
  const streamed: Layout = { ...sparse, options: "subformat=streamOptimized" };
  const vdi: Layout = { format: "vdi", driver: "vdi" };
  const vhd: Layout = { format: "vhd", driver: "vpc", options: "force_size=on" };
  const vhdx: Layout = { format: "vhdx", driver: "vhdx", options: "block_size=1M" };

  const cases: readonly (readonly [string, Layout, ImageErrorCode, Patch])[] = [
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

    ["VDI of an unknown version", vdi, "IMAGE_UNSUPPORTED", setWord(0x44, 0x00020002)],
    ["VDI of type undo", vdi, "IMAGE_UNSAFE", setWord(0x4c, 3)],
    ["VDI of type 9", vdi, "IMAGE_CORRUPT", setWord(0x4c, 9)],
    ["VDI with a parent", vdi, "IMAGE_UNSAFE", setWord(0x1b8, 1)],
    ["VDI with sectors of 4096 bytes", vdi, "IMAGE_CORRUPT", setWord(0x168, 4096)],
    ["VDI of 2^62 bytes", vdi, "IMAGE_TOO_LARGE", setWord(0x174, 0x40000000)],
    ["VDI with blocks of 3 bytes", vdi, "IMAGE_CORRUPT", setWord(0x178, 3)],
    ["VDI with extra data", vdi, "IMAGE_UNSUPPORTED", setWord(0x17c, 512)],
    ["VDI with 2^32 blocks", vdi, "IMAGE_TOO_LARGE", setWord(0x180, 0xffffffff)],
    ["VDI with too few blocks", vdi, "IMAGE_CORRUPT", setWord(0x180, 1)],
    ["VDI with its map over the header", vdi, "IMAGE_CORRUPT", setWord(0x154, 0)],
    ["VDI with its data over the map", vdi, "IMAGE_CORRUPT", setWord(0x158, 512)],
    ["VDI block beyond the end", vdi, "IMAGE_TRUNCATED", setWord(512, 1000)],
    ["VDI block used twice", vdi, "IMAGE_UNSAFE", setWord(512 + 8 * 4, 0)],

    ["VHD with a wrong checksum", vhd, "IMAGE_CORRUPT", (i) => void (i[i.length - 20] = 1)],
    [
      "VHD with differences",
      vhd,
      "IMAGE_UNSAFE",
      vhdFooter((footer) => footer.writeUInt32BE(4, 60)),
    ],
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
      (image) =>
        void image.writeUInt32BE(image.readUInt32BE(vhdTable(image)), vhdTable(image) + 12),
    ],

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

  const made = new Map<string, Promise<Buffer>>();
  async function original(layout: Layout): Promise<Buffer> {
    const key = JSON.stringify(layout);
    const making =
      made.get(key) ??
      (async () => {
        await using folder = await temporaryDirectory();
        const raw = Buffer.concat([rawDisk(3 * MEBIBYTE), Buffer.alloc(8 * MEBIBYTE)]);
        return await readFile(await make(folder.path, raw, layout));
      })();
    made.set(key, making);
    return Buffer.from(await making);
  }

  async function readAll(image: Buffer): Promise<void> {
    await using disk = await openDiskImage(memoryReader(image));
    await collectSparse(disk.stream());
  }

  test("a streamed VMDK with its directory in a footer is read", async () => {
    const image = await original(streamed);
    await using plain = await openDiskImage(memoryReader(Buffer.from(image)));
    const expected = await collectSparse(plain.stream());
    await using disk = await openDiskImage(memoryReader(withFooter(image)));
    expect((await collectSparse(disk.stream())).equals(expected)).toBe(true);
  });

  test.each(cases)("%s is refused", { timeout: 60_000 }, async (_name, layout, code, patch) => {
    const image = await original(layout);
    await expect(readAll(image)).resolves.toBeUndefined();
    await expect(readAll(patch(image) ?? image)).rejects.toMatchObject({ code });
  });

  test.each([sparse, streamed, vdi, vhd, vhdx])(
    "$driver $options: refused when cut at every twentieth",
    { timeout: 120_000 },
    async (layout) => {
      const image = await original(layout);
      for (let twentieth = 1; twentieth < 20; twentieth += 1) {
        const cut = image.subarray(0, Math.floor((image.length * twentieth) / 20));
        await expect(readAll(cut)).rejects.toMatchObject({ name: "ImageError" });
      }
    },
  );
});
