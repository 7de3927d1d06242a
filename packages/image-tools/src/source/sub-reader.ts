import type { ForwardSource } from "./forward-source.ts";
import { checkReadRange, type RandomAccessReader } from "../io/random-access-reader.ts";

const MAX_STEP_BYTES = 1024 * 1024;

/** A part of another reader, as a reader of its own. Disposing it leaves the other one open. */
export function subReader(
  reader: RandomAccessReader,
  offset: number,
  sizeBytes: number,
): RandomAccessReader {
  checkReadRange(offset, sizeBytes, reader.sizeBytes);
  return {
    sizeBytes,
    read: async (position, length) => {
      checkReadRange(position, length, sizeBytes);
      return reader.read(offset + position, length);
    },
    [Symbol.asyncDispose]: async () => {},
  };
}

/** Several readers one after the other. Disposing it disposes them all. */
export function joinReaders(readers: readonly RandomAccessReader[]): RandomAccessReader {
  const starts: number[] = [];
  let sizeBytes = 0;
  for (const reader of readers) {
    starts.push(sizeBytes);
    sizeBytes += reader.sizeBytes;
  }
  return {
    sizeBytes,
    read: async (offset, length) => {
      checkReadRange(offset, length, sizeBytes);
      const parts: Promise<Buffer>[] = [];
      for (const [index, reader] of readers.entries()) {
        const start = starts[index] as number;
        const from = Math.max(offset - start, 0);
        const to = Math.min(offset + length - start, reader.sizeBytes);
        if (from < to) parts.push(reader.read(from, to - from));
      }
      const bytes = await Promise.all(parts);
      return bytes.length === 1 ? (bytes[0] as Buffer) : Buffer.concat(bytes);
    },
    [Symbol.asyncDispose]: async () => {
      for (const reader of readers) await reader[Symbol.asyncDispose]();
    },
  };
}

/** Reads what `reader` holds in order, in pieces that grow from 64 KiB to 1 MiB. */
export async function* readInOrder(
  reader: RandomAccessReader,
  signal?: AbortSignal,
): AsyncGenerator<Uint8Array, void, void> {
  let stepBytes = 64 * 1024;
  for (let offset = 0; offset < reader.sizeBytes;) {
    signal?.throwIfAborted();
    const length = Math.min(stepBytes, reader.sizeBytes - offset);
    yield reader.read(offset, length);
    offset += length;
    stepBytes = Math.min(stepBytes * 2, MAX_STEP_BYTES);
  }
}

/** What `reader` holds as a stream. Disposing it disposes the reader. */
export function fileStream(
  reader: RandomAccessReader,
  signal: AbortSignal | undefined,
): ForwardSource {
  const stream = readInOrder(reader, signal);
  return {
    sizeBytes: reader.sizeBytes,
    [Symbol.asyncIterator]: () => stream,
    [Symbol.asyncDispose]: () => reader[Symbol.asyncDispose](),
  };
}
