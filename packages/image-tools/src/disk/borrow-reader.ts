import type { RandomAccessReader } from "../io/random-access-reader.ts";

/** The same reader, but disposing it leaves `reader` open. */
export function borrowReader(reader: RandomAccessReader): RandomAccessReader {
  return {
    sizeBytes: reader.sizeBytes,
    ...(reader.fd === undefined ? {} : { fd: reader.fd }),
    read: (offset, length) => reader.read(offset, length),
    [Symbol.asyncDispose]: async () => {},
  };
}
