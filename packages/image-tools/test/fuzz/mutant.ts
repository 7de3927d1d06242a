import { ImageError, type RandomAccessReader } from "../../src/index.ts";
import type { Random } from "./random.ts";

/** Bytes written over a seed. */
export interface Patch {
  readonly offset: number;
  readonly bytes: Buffer;
}

/** A seed with patches, cut to a size. */
export interface Mutant {
  readonly seed: Buffer;
  readonly sizeBytes: number;
  readonly patches: readonly Patch[];
}

/** A part of a seed that is worth changing: one that the reader of the format looks at. */
export interface HotRange {
  readonly offset: number;
  readonly length: number;
}

const INTERESTING = [0, 1, 2, 7, 0x7f, 0x80, 0xff];
const INTERESTING_WORDS = [0, 1, 0x7fffffff, 0x80000000, 0xffffffff, 0x00010000, 512, 65536];

/** Changes a few places of `seed`, mostly those in `hot`. */
export function mutate(seed: Buffer, hot: readonly HotRange[], random: Random): Mutant {
  const patches: Patch[] = [];
  const count = 1 + random.below(4);
  for (let index = 0; index < count; index += 1) {
    const offset = pickOffset(seed, hot, random);
    patches.push({ offset, bytes: mutateBytes(seed, offset, random) });
  }
  const isCut = random.chance(1, 10);
  return { seed, sizeBytes: isCut ? random.below(seed.length) : seed.length, patches };
}

function pickOffset(seed: Buffer, hot: readonly HotRange[], random: Random): number {
  if (hot.length === 0 || random.chance(1, 8)) return random.below(seed.length);
  const { offset, length } = random.pick(hot);
  // Headers are short: the beginning of what is read matters most.
  const within = random.chance(2, 3) ? Math.min(length, 512) : length;
  return Math.min(offset + random.below(within), seed.length - 1);
}

function mutateBytes(seed: Buffer, offset: number, random: Random): Buffer {
  const left = seed.length - offset;
  switch (random.below(5)) {
    case 0:
      return Buffer.of((seed[offset] as number) ^ (1 << random.below(8)));
    case 1:
      return Buffer.of(random.pick(INTERESTING));
    case 2:
      return Buffer.of((seed[offset] as number) + 1 - 2 * random.below(2));
    case 3: {
      const word = Buffer.alloc(4);
      const value = random.pick(INTERESTING_WORDS);
      if (random.chance(1, 2)) word.writeUInt32BE(value);
      else word.writeUInt32LE(value);
      return word.subarray(0, left);
    }
    default: {
      const from = random.below(seed.length);
      return Buffer.from(seed.subarray(from, from + Math.min(8, left)));
    }
  }
}

/** Limits that a reader of mutants enforces. */
export interface MutantReaderLimits {
  readonly maxReadBytes: number;
  readonly maxReads: number;
}

/** Thrown for what a reader of a format must never do. */
export class FuzzFailure extends Error {}

/** Reads a mutant without a copy of its seed, and watches how it is read. */
export function mutantReader(mutant: Mutant, limits: MutantReaderLimits): RandomAccessReader {
  let reads = 0;
  return {
    sizeBytes: mutant.sizeBytes,
    read: async (offset, length) => {
      reads += 1;
      if (reads > limits.maxReads) throw new FuzzFailure(`more than ${limits.maxReads} reads`);
      if (!Number.isSafeInteger(offset) || !Number.isSafeInteger(length) || length < 0) {
        throw new FuzzFailure(`a read of ${length} bytes at ${offset}`);
      }
      if (length > limits.maxReadBytes) throw new FuzzFailure(`a read of ${length} bytes`);
      if (offset < 0 || offset + length > mutant.sizeBytes) {
        throw new ImageError("IMAGE_TRUNCATED", "a read beyond the end");
      }
      return readPatched(mutant, offset, length);
    },
    [Symbol.asyncDispose]: async () => {},
  };
}

function readPatched({ seed, patches }: Mutant, offset: number, length: number): Buffer {
  const end = offset + length;
  const hits = patches.filter(
    (patch) => patch.offset < end && patch.offset + patch.bytes.length > offset,
  );
  const original = seed.subarray(offset, end);
  if (hits.length === 0) return original;
  const bytes = Buffer.from(original);
  for (const patch of hits) {
    const from = Math.max(0, offset - patch.offset);
    patch.bytes.copy(bytes, Math.max(0, patch.offset - offset), from);
  }
  return bytes;
}
