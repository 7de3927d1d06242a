import { execFile } from "node:child_process";
import { open, readFile, truncate } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { promisify } from "node:util";
import { gzipSync } from "node:zlib";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { BoundedReader } from "../src/report/bounded-reader.ts";
import { inspectDisk } from "../src/report/inspect-disk.ts";
import { xzContentSize } from "../src/xz/xz-streams.ts";
import {
  createIso9660,
  fromStream,
  inspectImage,
  inspectSource,
  memoryReader,
  openFileReader,
  openHttpReader,
  openSource,
  type ImageReport,
} from "../src/index.ts";
import { CORPUS, corpusImage } from "./support/corpus.ts";
import { serveLoopback } from "./support/loopback-server.ts";
import { noise, rawDisk } from "./support/made-images.ts";
import { serveRanges } from "./support/range-server.ts";
import { runTool } from "./support/run-tool.ts";
import { temporaryDirectory } from "./support/temporary-directory.ts";

const MAX_REQUESTS = 6;
const MAX_BYTES = 300 * 1024;
const MIB = 1024 * 1024;
const GIB = 1024 * MIB;

interface Counted {
  readonly report: ImageReport;
  readonly requests: number;
  readonly bytes: number;
}

/** Inspects a file through a server that counts what is asked of it. */
async function inspectRemote(path: string): Promise<Counted> {
  const file = await open(path);
  let requests = 0;
  let bytes = 0;
  const server = createServer((request, response) => {
    void (async () => {
      requests += 1;
      const { size } = await file.stat();
      const [, first, last] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? "") ?? [];
      const start = Number(first);
      const end = Math.min(Number(last) + 1, size);
      bytes += end - start;
      const body = Buffer.alloc(end - start);
      await file.read(body, 0, body.length, start);
      const range = `bytes ${start}-${end - 1}/${size}`;
      response.writeHead(206, { etag: '"1"', "content-range": range }).end(body);
    })();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  try {
    await using reader = await openHttpReader(`http://127.0.0.1:${port}/`);
    const report = await inspectImage(reader);
    return { report, requests, bytes };
  } finally {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
    await file.close();
  }
}

function expectCheap({ requests, bytes }: Counted): void {
  expect(requests).toBeLessThanOrEqual(MAX_REQUESTS);
  expect(bytes).toBeLessThanOrEqual(MAX_BYTES);
}

/** What the report of a file of the corpus must say, besides what the oracle does not know. */
function expectedOf(entry: (typeof CORPUS)[number]): Partial<ImageReport> {
  const wrappers = ["gz", "xz", "zst", "bz2"];
  if (!wrappers.includes(entry.format ?? ""))
    return { wrappers: [], format: entry.format as "raw" };
  return { wrappers: [entry.format as "gz"], format: (entry.inner ?? "raw") as "raw" };
}

describe("the corpus", () => {
  const single = CORPUS.filter(({ klass }) => klass !== "valid-multi");

  test.each(single.filter(({ klass }) => klass === "valid").map((entry) => [entry.file, entry]))(
    "%s is described",
    async (_file, entry) => {
      const image = corpusImage(entry);
      const report = await inspectImage(memoryReader(image));
      expect(report).toMatchObject({ ...expectedOf(entry), storedBytes: image.length });
      expect(report.unsafe).toBeUndefined();
      expect(report.virtualSizeBytes).toBeGreaterThan(0);
      expect(report.cdrom).toBe(entry.format === "iso");
    },
  );

  test.each(single.filter(({ klass }) => klass === "reject").map((entry) => [entry.file, entry]))(
    "%s is named unsafe",
    async (_file, entry) => {
      const { unsafe } = await inspectImage(memoryReader(corpusImage(entry)));
      expect(unsafe?.code).toMatch(/^IMAGE_/);
      expect(unsafe?.message.length).toBeGreaterThan(20);
    },
  );

  test("over HTTP every file is within the budget, and as local by what is read", async () => {
    for (const entry of CORPUS) {
      const image = corpusImage(entry);
      await using server = await serveLoopback(serveRanges(image, { etag: '"1"' }));
      await using reader = await openHttpReader(server.origin);
      const report = await inspectImage(reader);
      expect(server.requests.length, entry.file).toBeLessThanOrEqual(MAX_REQUESTS);
      expect(reader.traffic.bytes, entry.file).toBeLessThanOrEqual(MAX_BYTES);
      if (entry.klass !== "valid") continue;
      const local = await inspectImage(memoryReader(image));
      expect(report).toMatchObject({
        format: local.format,
        wrappers: local.wrappers,
        storedBytes: local.storedBytes,
        cdrom: local.cdrom,
        boot: local.boot,
      });
      expect(report.virtualSizeBytes, entry.file).toBe(local.virtualSizeBytes);
    }
  }, 60_000);
});

test("damaged images are described, too", { timeout: 120_000 }, async () => {
  const small = CORPUS.map(corpusImage).filter(({ length }) => length < 400_000 && length > 0);
  const damage = fc.array(fc.tuple(fc.nat(400_000), fc.nat(255)), { minLength: 1, maxLength: 6 });
  const where = fc.constantFrom(128, 1024, 70_000, 400_000);
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(...small), damage, where, async (image, changes, span) => {
      const bytes = Buffer.from(image);
      for (const [at, value] of changes) bytes[at % Math.min(span, bytes.length)] = value;
      const report = await inspectImage(memoryReader(bytes));
      expect(report.storedBytes).toBe(bytes.length);
    }),
    { numRuns: 300 },
  );
});

test("a local image with more tables than are read is described by its headers", async () => {
  const entry = CORPUS.find(({ file }) => file === "q-v3.qcow2.gz") as (typeof CORPUS)[number];
  const reader = memoryReader(corpusImage(entry));
  const options = { whole: true, maxVirtualSizeBytes: GIB, signal: undefined };
  const budget = { requests: Infinity, keeps: false };
  const all = await inspectDisk(new BoundedReader(reader, { ...budget, bytes: 10 * MIB }), options);
  expect(all).toMatchObject({ virtualSizeBytes: MIB, allocatedBytes: 458_752 });
  const some = await inspectDisk(new BoundedReader(reader, { ...budget, bytes: 400_000 }), options);
  expect(some.virtualSizeBytes).toBe(MIB);
  expect(some.allocatedBytes).toBeUndefined();
});

describe("large remote images", { timeout: 120_000 }, () => {
  const types: readonly (readonly [string, string, readonly string[]])[] = [
    ["qcow2", "qcow2", ["-o", "preallocation=metadata"]],
    ["qcow2", "qcow2", ["-o", "preallocation=metadata,cluster_size=2M"]],
    ["qcow2", "qcow2", ["-o", "preallocation=metadata,extended_l2=on,cluster_size=128k"]],
    ["vmdk", "vmdk", []],
    ["vmdk", "vmdk", ["-o", "subformat=streamOptimized"]],
    ["vdi", "vdi", []],
    ["vhd", "vpc", ["-o", "force_size=on"]],
    ["vhdx", "vhdx", []],
    ["raw", "raw", []],
  ];

  test.each(types)("%s (qemu-img convert -O %s %j)", async (format, type, args) => {
    await using directory = await temporaryDirectory();
    const path = join(directory.path, "image");
    // What is only created lacks the end that a streamed VMDK must have.
    const raw = join(directory.path, "raw");
    const handle = await open(raw, "w");
    await handle.write(rawDisk());
    await handle.close();
    await truncate(raw, 64 * GIB);
    await runTool("qemu-img", "convert", "-f", "raw", "-O", type, ...args, raw, path);
    const remote = await inspectRemote(path);
    expect(remote.report).toMatchObject({ format, virtualSizeBytes: 64 * GIB, cdrom: false });
    expect(remote.report.unsafe).toBeUndefined();
    expectCheap(remote);
  });

  test("xz: the size of the content is in the index at the end", async () => {
    await using directory = await temporaryDirectory();
    const path = join(directory.path, "disk");
    const handle = await open(path, "w");
    await handle.write(rawDisk(40 * MIB));
    await handle.close();
    await truncate(path, 300 * MIB + 512);
    await runTool("xz", "-0", "--block-size=8MiB", path);
    const remote = await inspectRemote(`${path}.xz`);
    expect(remote.report).toMatchObject({
      wrappers: ["xz"],
      format: "raw",
      virtualSizeBytes: 300 * MIB + 512,
    });
    expectCheap(remote);
  });

  test("gzip: the format is known, the size is not", async () => {
    await using directory = await temporaryDirectory();
    const path = join(directory.path, "disk");
    const handle = await open(path, "w");
    await handle.write(gzipSync(Buffer.concat([rawDisk(), noise(4 * MIB)])));
    await handle.close();
    const remote = await inspectRemote(path);
    expect(remote.report).toMatchObject({ wrappers: ["gz"], format: "raw" });
    expect(remote.report.virtualSizeBytes).toBeUndefined();
    expectCheap(remote);
  });

  test("OVA: its descriptor tells", async () => {
    await using directory = await temporaryDirectory();
    const ovf = join(directory.path, "x.ovf");
    const disk = join(directory.path, "disk1.vmdk");
    const text = await readFile(new URL("fixtures/ovf/vmware/centos.ovf", import.meta.url), "utf8");
    const handle = await open(ovf, "w");
    await handle.write(text);
    await handle.close();
    await (await open(disk, "w")).close();
    await truncate(disk, 100 * MIB);
    const path = join(directory.path, "x.ova");
    await promisify(execFile)("tar", ["-cf", path, "-C", directory.path, "x.ovf", "disk1.vmdk"]);
    const remote = await inspectRemote(path);
    expect(remote.report).toMatchObject({ format: "ova", virtualSizeBytes: 5 * GIB });
    expectCheap(remote);
  });
});

describe("boot hints", () => {
  const hints = async (bytes: Uint8Array): Promise<ImageReport["boot"]> =>
    (await inspectImage(memoryReader(bytes))).boot;

  test("of a partition table with boot code, and of an EFI partition", async () => {
    const disk = rawDisk();
    expect(await hints(disk)).toEqual({ bios: false, uefi: false });
    disk.write("\xeb\x63\x90", 0, "latin1");
    expect(await hints(disk)).toEqual({ bios: true, uefi: false });
    disk[446 + 16 + 4] = 0xef;
    expect(await hints(disk)).toEqual({ bios: true, uefi: true });
  });

  test.each([512, 4096])("of a GPT with sectors of %i", async (sector) => {
    const disk = rawDisk();
    disk[450] = 0xee;
    disk.write("EFI PART", sector, "latin1");
    disk.writeUInt32LE(128, sector + 84);
    const entry = sector * 2 + 3 * 128;
    expect(await hints(disk)).toEqual({ bios: false, uefi: false });
    disk.write("28732ac11ff8d211ba4b00a0c93ec93b", entry, "hex");
    expect(await hints(disk)).toEqual({ bios: false, uefi: true });
  });

  test("of a disk inside of qcow2", async () => {
    await using directory = await temporaryDirectory();
    const raw = join(directory.path, "raw");
    const path = join(directory.path, "qcow2");
    const disk = rawDisk();
    disk.write("\xeb\x63\x90", 0, "latin1");
    disk[450] = 0xef;
    const handle = await open(raw, "w");
    await handle.write(disk);
    await handle.close();
    await runTool("qemu-img", "convert", "-c", "-f", "raw", "-O", "qcow2", raw, path);
    await using reader = await openFileReader(path);
    const report = await inspectImage(reader);
    expect(report.boot).toEqual({ bios: true, uefi: true });
    expect(report.allocatedBytes).toBeGreaterThan(0);
    expect((await inspectRemote(path)).report.boot).toEqual({ bios: true, uefi: true });
  });

  test("of a disc for both kinds of firmware", async () => {
    await using directory = await temporaryDirectory();
    for (const name of ["bios.img", "efi.img", "file"]) {
      const handle = await open(join(directory.path, name), "w");
      await handle.write(noise(4096));
      await handle.close();
    }
    const path = join(directory.path, "../", `${directory.path.split("/").at(-1)}.iso`);
    const boot = ["-b", "bios.img", "-no-emul-boot", "-eltorito-alt-boot", "-e", "efi.img"];
    const args = ["-quiet", "-o", path, ...boot, "-no-emul-boot", directory.path];
    await runTool("genisoimage", ...args);
    const report = await inspectImage(memoryReader(await readFile(path)));
    await promisify(execFile)("rm", [path]);
    expect(report).toMatchObject({ format: "iso", cdrom: true, boot: { bios: true, uefi: true } });
  });

  test("none of a disc without boot catalog", async () => {
    const iso = createIso9660({ volumeId: "x", files: [{ name: "a", content: "b" }] });
    expect(await hints(iso)).toEqual({ bios: false, uefi: false });
  });
});

describe("sources", () => {
  test("a short stream is described as a file is", async () => {
    const disk = rawDisk();
    const source = { kind: "forward", stream: fromStream(chunksOf(gzipSync(disk))) } as const;
    expect(await inspectSource(source)).toMatchObject({
      wrappers: ["gz"],
      format: "raw",
      virtualSizeBytes: disk.length,
    });
  });

  test("a long stream is described by its beginning", async () => {
    const long = Buffer.alloc(20 * MIB);
    rawDisk().copy(long);
    const known = fromStream(chunksOf(long), { sizeBytes: long.length });
    expect(await inspectSource({ kind: "forward", stream: known })).toMatchObject({
      format: "raw",
      virtualSizeBytes: long.length,
      storedBytes: long.length,
    });
    const unknown = await inspectSource({ kind: "forward", stream: fromStream(chunksOf(long)) });
    expect(unknown.format).toBe("raw");
    expect(unknown.virtualSizeBytes).toBeUndefined();
    expect(unknown.storedBytes).toBeUndefined();
  });

  test("an HTML page with status 200 is no image, with ranges and without", async () => {
    const page = Buffer.from(`<!doctype html><title>Expired</title>${"<p>".repeat(500)}`);
    await using ranges = await serveLoopback(serveRanges(page, { etag: '"1"' }));
    await using plain = await serveLoopback((_request, response) => {
      response.setHeader("content-type", "text/html");
      response.end(page);
    });
    for (const { origin } of [ranges, plain]) {
      const source = await openSource(origin);
      await using _owner = source.kind === "random" ? source.reader : source.stream;
      const { unsafe } = await inspectSource(source);
      expect(unsafe?.code).toBe("IMAGE_UNRECOGNISED");
      expect(unsafe?.message).toContain("HTML");
    }
  });

  test("failures to read are thrown, not reported", async () => {
    const reader = { ...memoryReader(rawDisk()), read: () => Promise.reject(new Error("gone")) };
    await expect(inspectImage(reader)).rejects.toThrow("gone");
  });

  test("an image inside of a tar, and nothing else inside of one", async () => {
    await using directory = await temporaryDirectory();
    const path = join(directory.path, "disk.img");
    const handle = await open(path, "w");
    await handle.write(rawDisk());
    await handle.close();
    const tar = join(directory.path, "x.tar");
    await promisify(execFile)("tar", ["-cf", tar, "-C", directory.path, "disk.img"]);
    const bytes = await readFile(tar);
    expect(await inspectImage(memoryReader(bytes))).toMatchObject({
      wrappers: ["tar"],
      format: "raw",
      virtualSizeBytes: MIB,
    });
    expect(await inspectImage(memoryReader(gzipSync(bytes)))).toMatchObject({
      wrappers: ["gz", "tar"],
      format: "raw",
    });
    await promisify(execFile)("tar", [
      "-cf",
      tar,
      "--hard-dereference",
      "-C",
      directory.path,
      "disk.img",
      "disk.img",
    ]);
    const { unsafe } = await inspectImage(memoryReader(await readFile(tar)));
    expect(unsafe?.code).toBe("IMAGE_UNRECOGNISED");
  });

  test("wrappers without end are refused", async () => {
    let bytes: Uint8Array = rawDisk();
    for (let count = 0; count < 5; count += 1) bytes = gzipSync(bytes);
    const { unsafe, wrappers } = await inspectImage(memoryReader(bytes));
    expect(unsafe?.code).toBe("IMAGE_UNSUPPORTED");
    expect(wrappers).toEqual(["gz", "gz"]);
  });
});

test("sizes of xz files, of one and several streams, with padding", async () => {
  await using directory = await temporaryDirectory();
  const path = join(directory.path, "x");
  const xz = async (length: number, ...args: readonly string[]): Promise<Buffer> => {
    const handle = await open(path, "w");
    await handle.write(noise(length));
    await handle.close();
    return runTool("xz", "-0", "-k", "-c", ...args, path);
  };
  const size = (...parts: readonly Uint8Array[]): Promise<number> =>
    xzContentSize(memoryReader(Buffer.concat(parts)));
  const one = await xz(3 * MIB, "--block-size=100KiB");
  const two = await xz(1000);
  const empty = await xz(0);
  expect(await size(one)).toBe(3 * MIB);
  expect(await size(empty)).toBe(0);
  expect(await size(one, Buffer.alloc(8), two, empty, Buffer.alloc(4))).toBe(3 * MIB + 1000);
  await expect(size(two, Buffer.alloc(3))).rejects.toMatchObject({ code: "IMAGE_CORRUPT" });
  await expect(size(two.subarray(0, -6))).rejects.toThrow(/corrupt|cut short/);
  await expect(size(Buffer.alloc(10), two.subarray(12))).rejects.toMatchObject({
    code: "IMAGE_CORRUPT",
  });
  for (let at = two.length - 24; at < two.length; at += 1) {
    const damaged = Buffer.from(two);
    damaged[at] = (damaged[at] as number) ^ 0x10;
    await expect(size(damaged)).rejects.toThrow(/corrupt|cut short/);
  }
});

function chunksOf(bytes: Uint8Array): AsyncIterable<Uint8Array> {
  return (async function* chunks() {
    for (let at = 0; at < bytes.length; at += 65_536) yield bytes.subarray(at, at + 65_536);
  })();
}
