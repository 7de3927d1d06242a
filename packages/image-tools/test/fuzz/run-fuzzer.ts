import { zstdCompressSync, gzipSync } from "node:zlib";
import { compress } from "lzma-native";
import { forwardSteps } from "../../src/convert/forward-steps.ts";
import { streamDecoder } from "../../src/decode/stream-decoders.ts";
import { openForwardDisk } from "../../src/forward/forward-disk.ts";
import { RawStream } from "../../src/forward/raw-stream.ts";
import { WindowReader } from "../../src/forward/window-reader.ts";
import {
  detectImage,
  isImageError,
  memoryReader,
  openDiskImage,
  type ImageErrorCode,
  type ImageWrapper,
  type RandomAccessReader,
} from "../../src/index.ts";
import { CORPUS, corpusFile, corpusImage } from "../support/corpus.ts";
import { openArchiveDisk } from "../../src/source/open-archive-disk.ts";
import { FuzzFailure, mutantReader, mutate, type HotRange, type Mutant } from "./mutant.ts";
import { Random } from "./random.ts";
import { repairChecksums } from "./repair.ts";

const MAX_SEED_BYTES = 16 * 1024 * 1024;
const MAX_DISK_BYTES = 8 * 1024 * 1024;
const MAX_TABLE_BYTES = 1024 * 1024;
const MAX_DECODED_BYTES = 4 * 1024 * 1024;
const MAX_RUN_MS = 5000;
// The first read of a qcow2 image, which holds its whole header cluster.
const LIMITS = { maxReadBytes: 2 * 1024 * 1024, maxReads: 100_000 };
// A stream is read whole, whatever its size.
const WHOLE = { maxReadBytes: MAX_SEED_BYTES, maxReads: 1 };
const DISK_FORMATS = new Set(["qcow2", "raw", "iso", "vmdk", "vdi", "vhd", "vhdx"]);
const ARCHIVE_FORMATS = new Set(["ova", "oci"]);
const SMALL_CONTENT = Buffer.from("some text that repeats itself, ".repeat(200));
const SMALL_BZIP2 = Buffer.from(
  "QlpoOTFBWSZTWUfYG4kAA0+RgEAFJ0TcgDAAuApgAApgAAKpGpiD0S4HgDAGgLAUBGQOgLgdgegWAoAoDYGwIkDQFARcDIEaARIHAISBgAkCwHwBwCQIfi7kinChII+wNxI=",
  "base64",
);

/** How {@link runFuzzer} runs. */
export interface FuzzOptions {
  readonly durationMs: number;
  readonly seed: number;
  readonly maxMemoryBytes?: number;
}

/** What {@link runFuzzer} found. */
export interface FuzzReport {
  readonly runs: number;
  readonly runsPerSecond: number;
  readonly accepted: number;
  readonly refused: Readonly<Partial<Record<ImageErrorCode, number>>>;
  readonly peakMemoryBytes: number;
  readonly slowestMs: number;
  /** Each says how the mutant was made. */
  readonly failures: readonly string[];
}

interface Seed {
  readonly name: string;
  readonly kind: "disk" | "archive" | ImageWrapper;
  readonly bytes: Buffer;
  readonly hot: readonly HotRange[];
}

/** Changes images of the corpus for a while and opens and reads them in this process. */
export async function runFuzzer(options: FuzzOptions): Promise<FuzzReport> {
  const random = new Random(options.seed);
  const seeds = await loadSeeds();
  const disks = seeds.filter(({ kind }) => kind === "disk");
  const archives = seeds.filter(({ kind }) => kind === "archive");
  const wrapped = seeds.filter(({ kind }) => kind !== "disk" && kind !== "archive");
  const refused: Partial<Record<ImageErrorCode, number>> = {};
  const failures: string[] = [];
  let runs = 0;
  let accepted = 0;
  let slowestMs = 0;
  let peakMemoryBytes = 0;
  const started = performance.now();
  let now = started;
  while (now - started < options.durationMs && failures.length < 10) {
    const share = random.below(20);
    const seed = random.pick(share < 2 ? wrapped : share === 2 ? archives : disks);
    const plain = mutate(seed.bytes, seed.hot, random);
    const mutant = random.chance(3, 4) ? repairChecksums(plain) : plain;
    const before = now;
    try {
      if (seed.kind === "disk" && random.chance(1, 8)) await streamDisk(mutant, random);
      else if (seed.kind === "disk") await readDisk(mutant, random);
      else if (seed.kind === "archive") await readArchive(mutant);
      else await unwrap(mutant, seed.kind);
      accepted += 1;
    } catch (error) {
      if (isImageError(error)) refused[error.code] = (refused[error.code] ?? 0) + 1;
      else failures.push(describe(seed, mutant, error));
    }
    runs += 1;
    now = performance.now();
    slowestMs = Math.max(slowestMs, now - before);
    if (now - before > MAX_RUN_MS) failures.push(describe(seed, mutant, "too slow"));
    if (runs % 256 === 0) {
      peakMemoryBytes = Math.max(peakMemoryBytes, process.memoryUsage().rss);
      // Gives timers and signals of the process their turn.
      await new Promise((resolve) => setImmediate(resolve));
    }
  }
  const limit = options.maxMemoryBytes ?? Number.POSITIVE_INFINITY;
  if (peakMemoryBytes > limit) failures.push(`resident memory grew to ${peakMemoryBytes} bytes`);
  const runsPerSecond = Math.round((runs / (now - started)) * 1000);
  return { runs, runsPerSecond, accepted, refused, peakMemoryBytes, slowestMs, failures };
}

async function readDisk(mutant: Mutant, random: Random): Promise<void> {
  const reader = mutantReader(mutant, LIMITS);
  const limits = { maxVirtualSizeBytes: MAX_DISK_BYTES, maxTableBytes: MAX_TABLE_BYTES };
  await using image = await openDiskImage(reader, { ...limits, lazy: random.chance(1, 4) });
  const length = Math.min(image.virtualSizeBytes, 1 + random.below(8192));
  const offset = random.below(image.virtualSizeBytes - length + 1);
  const bytes = await image.read(offset, length);
  if (bytes.length !== length) throw new FuzzFailure(`${bytes.length} bytes instead of ${length}`);
  if (!random.chance(1, 16)) return;
  let streamed = 0;
  for await (const extent of image.stream()) {
    streamed += extent.type === "hole" ? extent.length : extent.bytes.length;
  }
  if (streamed !== image.virtualSizeBytes) {
    throw new FuzzFailure(`${streamed} bytes streamed of ${image.virtualSizeBytes}`);
  }
}

/** Reads a mutant as it would come from a server without ranges. */
async function streamDisk(mutant: Mutant, random: Random): Promise<void> {
  const whole = await mutantReader(mutant, WHOLE).read(0, mutant.sizeBytes);
  const detected = detectImage(whole);
  if (detected.kind !== "image") return;
  const { format } = detected;
  if (format === "raw" || format === "iso") {
    const options = { format, head: whole, maxBytes: MAX_DISK_BYTES, signal: undefined };
    for await (const _extent of new RawStream(inPieces(whole), options).extents());
    return;
  }
  const windowBytes = random.chance(1, 2) ? 256 * 1024 : MAX_SEED_BYTES;
  const window = new WindowReader(inPieces(whole), { windowBytes, maxBytes: MAX_SEED_BYTES });
  await window.fill();
  const disk = await openForwardDisk(window, format, {
    maxVirtualSizeBytes: MAX_DISK_BYTES,
    maxTableBytes: MAX_TABLE_BYTES,
    lazy: false,
  });
  let streamed = 0;
  for await (const step of forwardSteps({ window, disk, head: whole, format }, {})) {
    streamed += step.length;
  }
  if (streamed !== disk.virtualSizeBytes) {
    throw new FuzzFailure(`${streamed} bytes planned of ${disk.virtualSizeBytes}`);
  }
}

async function readArchive(mutant: Mutant): Promise<void> {
  const archive = await openArchiveDisk(mutantReader(mutant, LIMITS));
  const { source } = archive;
  if (source.kind === "random") {
    await source.reader.read(0, Math.min(source.reader.sizeBytes, 4096));
  } else {
    for await (const _chunk of source.stream) break;
  }
  await archive.verify();
}

async function unwrap(mutant: Mutant, wrapper: ImageWrapper): Promise<void> {
  const whole = await mutantReader(mutant, LIMITS).read(0, mutant.sizeBytes);
  let decoded = 0;
  for await (const chunk of streamDecoder(wrapper).decode(inPieces(whole))) {
    decoded += chunk.length;
    if (decoded > MAX_DECODED_BYTES) return;
  }
}

async function* inPieces(bytes: Buffer): AsyncGenerator<Uint8Array> {
  for (let start = 0; start < bytes.length; start += 16_384) {
    yield bytes.subarray(start, start + 16_384);
  }
}

async function loadSeeds(): Promise<readonly Seed[]> {
  const smallXz = await new Promise<Buffer>((resolve) => {
    compress(SMALL_CONTENT, { preset: 1 }, resolve);
  });
  const seeds: Seed[] = [
    { name: "small.gz", bytes: gzipSync(SMALL_CONTENT), hot: [], kind: "gz" },
    { name: "small.xz", bytes: smallXz, hot: [], kind: "xz" },
    { name: "small.zst", bytes: zstdCompressSync(SMALL_CONTENT), hot: [], kind: "zst" },
    { name: "small.bz2", bytes: SMALL_BZIP2, hot: [], kind: "bz2" },
  ];
  for (const entry of CORPUS) {
    const isArchive = ARCHIVE_FORMATS.has(entry.format ?? "");
    if (entry.format !== undefined && !DISK_FORMATS.has(entry.format) && !isArchive) continue;
    const bytes = entry.stored === undefined ? corpusFile(entry.file) : corpusImage(entry);
    if (bytes.length === 0 || bytes.length > MAX_SEED_BYTES) continue;
    if (isArchive) {
      const hot = [{ offset: 0, length: Math.min(bytes.length, 10_240) }];
      seeds.push({ name: entry.file, kind: "archive", bytes, hot });
    } else {
      seeds.push({ name: entry.file, kind: "disk", bytes, hot: await findHotRanges(bytes) });
    }
  }
  return seeds;
}

/** What is read while the seed is opened: its headers and tables. */
async function findHotRanges(bytes: Buffer): Promise<readonly HotRange[]> {
  const hot: HotRange[] = [];
  const reader = memoryReader(bytes);
  const watching: RandomAccessReader = {
    ...reader,
    read: (offset, length) => {
      hot.push({ offset, length: Math.min(length, 4096) });
      return reader.read(offset, length);
    },
  };
  await openDiskImage(watching).catch((error: unknown) => {
    if (!isImageError(error)) throw error;
  });
  return hot;
}

function describe(seed: Seed, mutant: Mutant, error: unknown): string {
  const patches = mutant.patches.map(({ offset, bytes }) => `${offset}:${bytes.toString("hex")}`);
  const reason = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return `${seed.name} cut to ${mutant.sizeBytes}, patched ${patches.join(" ")}: ${reason}`;
}
