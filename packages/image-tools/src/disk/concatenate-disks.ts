import type { RandomAccessReader } from "../io/random-access-reader.ts";
import { mergeExtents } from "../sparse/merge-extents.ts";
import type { SparseExtent } from "../sparse/sparse-stream.ts";
import type { DiskFormat } from "./disk-format.ts";
import type { DiskImage } from "./disk-image.ts";
import { requireReadRange } from "./read-range.ts";

const lengthOf = (part: DiskImage | number): number =>
  typeof part === "number" ? part : part.virtualSizeBytes;

/**
 * One disk of several, behind each other; a number stands for so many zero bytes. Disposing it
 * disposes all parts, and `descriptor` with them.
 */
export function concatenateDisks(
  format: DiskFormat,
  parts: readonly (DiskImage | number)[],
  descriptor: RandomAccessReader,
): DiskImage {
  const images = parts.filter((part) => typeof part !== "number");
  const virtualSizeBytes = parts.reduce<number>((sum, part) => sum + lengthOf(part), 0);

  async function* extents(signal: AbortSignal | undefined): AsyncGenerator<SparseExtent> {
    for (const part of parts) {
      if (typeof part === "number") yield { type: "hole", length: part };
      else yield* part.stream({ signal });
    }
  }

  return {
    format,
    virtualSizeBytes,
    allocatedBytes: images.reduce<number | undefined>(
      (sum, { allocatedBytes }) =>
        sum === undefined || allocatedBytes === undefined ? undefined : sum + allocatedBytes,
      0,
    ),
    warnings: images.flatMap(({ warnings }) => warnings),
    read: async (offset, length, options) => {
      requireReadRange(offset, length, virtualSizeBytes);
      const content = Buffer.alloc(length);
      let end = 0;
      for (const part of parts) {
        const start = end;
        end += lengthOf(part);
        const from = Math.max(start, offset);
        const to = Math.min(end, offset + length);
        if (from >= to || typeof part === "number") continue;
        (await part.read(from - start, to - from, options)).copy(content, from - offset);
      }
      return content;
    },
    stream: ({ signal } = {}) => ({
      sizeBytes: virtualSizeBytes,
      [Symbol.asyncIterator]: () => mergeExtents(extents(signal)),
      [Symbol.asyncDispose]: async () => {},
    }),
    check: async (options) => {
      for (const image of images) await image.check(options);
    },
    [Symbol.asyncDispose]: async () => {
      for (const image of images) await image[Symbol.asyncDispose]();
      await descriptor[Symbol.asyncDispose]();
    },
  };
}
