import type { ImageWrapper } from "../detect/detector.ts";
import type { StreamDecoder } from "./stream-decoder.ts";

// Loaded when needed: a program meets one or two of them.
const DECODERS: Readonly<Record<ImageWrapper, () => Promise<StreamDecoder>>> = {
  gz: async () => (await import("./gzip-decoder.ts")).gzipDecoder,
  xz: async () => (await import("./xz-decoder.ts")).xzDecoder,
  zst: async () => (await import("./zstd-decoder.ts")).zstdDecoder,
  bz2: async () => (await import("./bzip2-decoder.ts")).bzip2Decoder,
};

/** The decoder for a wrapper that detection named. */
export function streamDecoder(wrapper: ImageWrapper): StreamDecoder {
  return {
    wrapper,
    async *decode(source) {
      const decoder = await DECODERS[wrapper]();
      yield* decoder.decode(source);
    },
  };
}
