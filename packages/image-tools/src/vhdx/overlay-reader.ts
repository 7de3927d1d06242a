import { ImageError } from "../image-error.ts";
import type { RandomAccessReader } from "../io/random-access-reader.ts";

/** A part of a file with other content: `bytes`, or zeros where they are `undefined`. */
export interface FileChange {
  readonly offset: number;
  readonly length: number;
  readonly bytes: Buffer | undefined;
}

/**
 * Reads `reader` as if `changes` had been made to it in their order, and as if it had been extended
 * with zeros to `sizeBytes`.
 */
export function overlayReader(
  reader: RandomAccessReader,
  changes: readonly FileChange[],
  sizeBytes: number,
): RandomAccessReader {
  return {
    sizeBytes,
    read: async (offset, length) => {
      if (offset < 0 || length < 0 || offset + length > sizeBytes) {
        throw new ImageError("IMAGE_TRUNCATED", `${length} bytes at ${offset} lie beyond the end`);
      }
      const content = Buffer.alloc(length);
      const available = Math.max(0, Math.min(length, reader.sizeBytes - offset));
      if (available > 0) (await reader.read(offset, available)).copy(content);
      for (const change of changes) {
        const from = Math.max(offset, change.offset);
        const to = Math.min(offset + length, change.offset + change.length);
        if (from >= to) continue;
        if (change.bytes === undefined) content.fill(0, from - offset, to - offset);
        else change.bytes.copy(content, from - offset, from - change.offset, to - change.offset);
      }
      return content;
    },
    [Symbol.asyncDispose]: () => reader[Symbol.asyncDispose](),
  };
}
