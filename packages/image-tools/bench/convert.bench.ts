// Converts disk images beside qemu-img, gzip and xz in the same run, by turns and with everything in the page cache, and
// prints the ratios of the wall times, start of the program included on both sides.
//
// What the sides do: ours checks the whole structure of the source, writes a temporary file, waits until it is on stable
// storage, inspects it and renames it. qemu-img checks headers only, overwrites its target and does not wait for storage
// (`convert` writes with cache=unsafe); gzip and xz verify checksums and do not wait either. Both leave zeros out, and
// both get rid of the target of the round before within their time. In /dev/shm waiting for storage costs nothing.
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { createReadStream } from "node:fs";
import { mkdtemp, rm, statfs } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { ConvertImageOptions } from "@polyvisor/image-tools";
import { makeDisk } from "./made-disk.ts";
import { ResultTable } from "./result-table.ts";
import { runProcess } from "./run-process.ts";

const MEBIBYTE = 1024 * 1024;
const LARGE_BYTES = 1024 * MEBIBYTE;
const NEEDED_BYTES = 8 * LARGE_BYTES;
const MEDIUM_BYTES = 512 * MEBIBYTE;
const SERVER_BYTES_PER_SECOND = 25 * MEBIBYTE;
const MAX_RESIDENT_MEGABYTES = 300;
const MAX_EMPTY_MS = 100;
const MAX_INFO_MS = 50;
const MAX_IMPORT_MS = 30;

const entry = import.meta.resolve("@polyvisor/image-tools");
const command = fileURLToPath(new URL(`command/polyvisor-image.${entry.split(".").at(-1)}`, entry));
const CONVERT_SCRIPT = `
  const { convertImage } = await import(process.argv[1]);
  await convertImage(JSON.parse(process.argv[2]));
  console.log(process.resourceUsage().maxRSS);
`;
const STREAM_SCRIPT = `
  const { convertImage, fromStream } = await import(process.argv[1]);
  const { source, ...options } = JSON.parse(process.argv[2]);
  await convertImage({ ...options, source: fromStream(fs.createReadStream(source)) });
  console.log(process.resourceUsage().maxRSS);
`;
const IMPORT_SCRIPT = `
  const start = performance.now();
  await import(process.argv[1]);
  console.log(performance.now() - start);
`;

interface Job {
  readonly name: string;
  readonly maxRatio: number;
  readonly rounds: number;
  readonly tool: () => Promise<number>;
  readonly options: Pick<ConvertImageOptions, "to" | "compress"> & { readonly source: string };
  /** Throws when the output is not the disk. */
  readonly verify: (output: string) => Promise<void>;
}

let peak = { megabytes: 0, job: "" };
const table = new ResultTable();

async function node(script: string, ...args: readonly string[]): ReturnType<typeof runProcess> {
  const flags = process.execArgv.filter((flag) => flag.startsWith("--conditions"));
  return runProcess(process.execPath, ...flags, "-e", script, ...args);
}

async function convert(
  job: string,
  options: ConvertImageOptions,
  script: string = CONVERT_SCRIPT,
): Promise<number> {
  const { milliseconds, output } = await node(script, entry, JSON.stringify(options));
  const megabytes = (Number(output) * 1024) / 1e6;
  if (megabytes > peak.megabytes) peak = { megabytes, job };
  return milliseconds;
}

async function time(program: string, ...args: readonly string[]): Promise<number> {
  return (await runProcess(program, ...args)).milliseconds;
}

const median = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;

async function digestOf(path: string): Promise<string> {
  const hash = createHash("sha256");
  for await (const chunk of createReadStream(path, { highWaterMark: MEBIBYTE })) {
    hash.update(chunk as Buffer);
  }
  return hash.digest("hex");
}

async function measure(job: Job, target: string): Promise<void> {
  const toolTimes: number[] = [];
  const ourTimes: number[] = [];
  for (let round = 0; round < job.rounds; round += 1) {
    toolTimes.push(await job.tool());
    ourTimes.push(await convert(job.name, { ...job.options, target }));
    if (round === 0) await job.verify(target);
  }
  await rm(target);
  const ratio = median(ourTimes) / median(toolTimes);
  const seconds = (milliseconds: number): string => `${(milliseconds / 1000).toFixed(2)} s`;
  table.add({
    name: job.name,
    ours: seconds(median(ourTimes)),
    other: seconds(median(toolTimes)),
    measured: `ratio ${ratio.toFixed(2)}`,
    limit: String(job.maxRatio),
    isMet: ratio <= job.maxRatio,
  });
}

function compressedBy(method: "deflate" | "zstd"): readonly string[] {
  const type = method === "zstd" ? "zstd" : "zlib";
  return ["-O", "qcow2", "-c", "-o", `compression_type=${type}`];
}

async function main(directory: string): Promise<void> {
  const at = (name: string): string => join(directory, name);
  const target = at("ours");
  await makeDisk(at("large.raw"), LARGE_BYTES);
  await makeDisk(at("medium.raw"), MEDIUM_BYTES);
  const largeDigest = await digestOf(at("large.raw"));
  const mediumDigest = await digestOf(at("medium.raw"));

  const sameAs = (digest: string) => async (output: string) => {
    if ((await digestOf(output)) !== digest) throw new Error("the output is not the disk");
  };
  const sameDisk = async (output: string): Promise<void> => {
    await runProcess("qemu-img", "check", "-q", "-f", "qcow2", output);
    await runProcess("qemu-img", "compare", "-q", "-F", "qcow2", at("large.raw"), output);
  };
  const qemuImg =
    (...args: readonly string[]) =>
    (): Promise<number> =>
      time("qemu-img", "convert", ...args);

  const compressed = (name: string, compress: "deflate" | "zstd", maxRatio: number): Job => ({
    name: `raw to qcow2 ${compress}`,
    maxRatio,
    rounds: 1,
    tool: qemuImg("-f", "raw", ...compressedBy(compress), at("large.raw"), at(name)),
    options: { source: at("large.raw"), to: "qcow2", compress },
    verify: sameDisk,
  });
  await measure(compressed("deflate.qcow2", "deflate", 0.6), target);
  await measure(compressed("zstd.qcow2", "zstd", 0.9), target);
  await qemuImg("-f", "raw", "-O", "qcow2", at("large.raw"), at("plain.qcow2"))();
  const streamOptimized = ["-O", "vmdk", "-o", "subformat=streamOptimized"];
  await qemuImg("-f", "raw", ...streamOptimized, at("large.raw"), at("stream.vmdk"))();

  for (const [name, file, format, maxRatio] of [
    ["qcow2 deflate to raw", "deflate.qcow2", "qcow2", 0.6],
    ["qcow2 zstd to raw", "zstd.qcow2", "qcow2", 0.9],
    ["qcow2 plain to raw", "plain.qcow2", "qcow2", 1.1],
    ["VMDK streamOptimized to raw", "stream.vmdk", "vmdk", 0.6],
  ] as const) {
    const tool = qemuImg("-f", format, "-O", "raw", at(file), at("theirs"));
    const options = { source: at(file), to: "raw" } as const;
    const verify = sameAs(largeDigest);
    await measure({ name, maxRatio, rounds: 5, tool, options, verify }, target);
  }
  await rm(at("theirs"));

  const shell = (script: string) => (): Promise<number> =>
    time("sh", "-c", `cd ${directory} && ${script}`);
  await shell("gzip -1 -c medium.raw > one.gz")();
  await shell("xz -1 -T1 -c medium.raw > one.xz")();
  await shell("xz -1 -T2 --block-size=8MiB -c medium.raw > many.xz")();
  for (const [name, file, script, maxRatio] of [
    ["gz to raw", "one.gz", "gzip -dc one.gz > theirs", 0.8],
    ["xz of one block to raw", "one.xz", "xz -dc -T1 one.xz > theirs", 2],
    ["xz of many blocks to raw", "many.xz", "xz -dc -T2 many.xz > theirs", 1.5],
  ] as const) {
    const options = { source: at(file), to: "raw" } as const;
    const verify = sameAs(mediumDigest);
    await measure({ name, maxRatio, rounds: 3, tool: shell(script), options, verify }, target);
  }
  await measureHttp(at, target, sameAs(largeDigest));
  await measureStreamMemory(at, target);
  await measureEmpty(at, target);
  await measureStart(at);
  table.addAlone("peak resident memory", peak.megabytes, MAX_RESIDENT_MEGABYTES, "MB");
  console.log(`the peak is that of ${peak.job}`);
}

async function measureHttp(
  at: (name: string) => string,
  target: string,
  verify: (output: string) => Promise<void>,
): Promise<void> {
  const script = fileURLToPath(new URL("slow-server.ts", import.meta.url));
  const args = [script, at("zstd.qcow2"), String(SERVER_BYTES_PER_SECOND)];
  const server = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
  try {
    const [port] = (await once(server.stdout, "data")) as [Buffer];
    const url = `http://127.0.0.1:${String(port).trim()}/zstd.qcow2`;
    const download = `curl -sSf -o ${at("download")} ${url}`;
    const convertIt = `qemu-img convert -f qcow2 -O raw ${at("download")} ${at("theirs")}`;
    const job: Job = {
      name: "HTTP qcow2 at 25 MiB/s to raw",
      maxRatio: 0.5,
      rounds: 1,
      tool: () => time("sh", "-c", `${download} && ${convertIt}`),
      options: { source: url, to: "raw" },
      verify,
    };
    await measure(job, target);
  } finally {
    server.kill();
    await rm(at("download"), { force: true });
  }
}

/** What comes as a stream, compressed twice and to be compressed again, is decoded with a window of it kept. */
async function measureStreamMemory(at: (name: string) => string, target: string): Promise<void> {
  await runProcess("gzip", "-1", "-k", at("zstd.qcow2"));
  const options = { source: at("zstd.qcow2.gz"), target, to: "qcow2", compress: "zstd" } as const;
  await convert("stream of qcow2 in gz to qcow2 zstd", options, STREAM_SCRIPT);
  await rm(target);
}

async function measureEmpty(at: (name: string) => string, target: string): Promise<void> {
  await runProcess("qemu-img", "create", "-q", "-f", "qcow2", at("empty.qcow2"), "1T");
  const { convertImage } = await import("@polyvisor/image-tools");
  const started = performance.now();
  await convertImage({ source: at("empty.qcow2"), target, to: "raw" });
  const milliseconds = performance.now() - started;
  await rm(target);
  table.addAlone("empty 1 TiB qcow2 to raw", milliseconds, MAX_EMPTY_MS, "ms");
}

async function measureStart(at: (name: string) => string): Promise<void> {
  const flags = process.execArgv.filter((flag) => flag.startsWith("--conditions"));
  const bare: number[] = [];
  const info: number[] = [];
  const imports: number[] = [];
  for (let round = 0; round < 15; round += 1) {
    bare.push((await runProcess(process.execPath, "-e", "0")).milliseconds);
    const args = [...flags, command, "info", at("deflate.qcow2"), "--json"];
    info.push((await runProcess(process.execPath, ...args)).milliseconds);
    imports.push(Number((await node(IMPORT_SCRIPT, entry)).output));
  }
  const milliseconds = (value: number): string => `${value.toFixed(0)} ms`;
  const afterStart = median(info) - median(bare);
  table.add({
    name: "info, beside a Node that does nothing",
    ours: milliseconds(median(info)),
    other: milliseconds(median(bare)),
    measured: `difference ${milliseconds(afterStart)}`,
    limit: milliseconds(MAX_INFO_MS),
    isMet: afterStart <= MAX_INFO_MS,
  });
  table.addAlone("import of the package", median(imports), MAX_IMPORT_MS, "ms");
}

/** Memory, if there is enough of it: a disk would be measured otherwise. */
async function chooseDirectory(): Promise<string> {
  const memory = await statfs("/dev/shm").catch(() => undefined);
  const hasRoom = memory !== undefined && memory.bavail * memory.bsize > NEEDED_BYTES;
  return mkdtemp(join(hasRoom ? "/dev/shm" : tmpdir(), "bench-"));
}

const directory = await chooseDirectory();
try {
  await main(directory);
} finally {
  await rm(directory, { recursive: true, force: true });
}
table.end();
