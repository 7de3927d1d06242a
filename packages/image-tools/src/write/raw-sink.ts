import type { DiskSink } from "./disk-sink.ts";
import type { ImageTarget } from "./image-target.ts";

/** Stores a disk as it is; what is zero is left out where the target reads as zeros anyway. */
export function rawSink(target: ImageTarget): DiskSink {
  return {
    output: { kind: "file", fd: target.fd, zeroed: target.zeroed },
    accept: async () => {},
    finish: async (sizeBytes) => {
      await target.finish(sizeBytes);
      return sizeBytes;
    },
  };
}
