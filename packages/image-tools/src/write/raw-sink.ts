import { SEGMENT_BYTES } from "../digest/segment-roots.ts";
import type { ResumableSink } from "./disk-sink.ts";
import type { ImageTarget } from "./image-target.ts";

/** Stores a disk as it is; what is zero is left out where the target reads as zeros anyway. */
export function rawSink(target: ImageTarget): ResumableSink {
  return {
    output: { kind: "file", fd: target.fd, zeroed: target.zeroed },
    accept: async () => {},
    finish: async (sizeBytes) => {
      await target.finish(sizeBytes);
      return sizeBytes;
    },
    checkpoint: async (starts) => starts.map((start) => ({ end: start + SEGMENT_BYTES, table: 0 })),
    locate: (_mark, start, length) => [{ type: "data", length, hostOffset: start }],
    resume: () => {},
  };
}
