import type { ImageWrapper } from "../detect/detector.ts";
import { bzip2Decoder } from "./bzip2-decoder.ts";
import { gzipDecoder } from "./gzip-decoder.ts";
import type { StreamDecoder } from "./stream-decoder.ts";
import { xzDecoder } from "./xz-decoder.ts";
import { zstdDecoder } from "./zstd-decoder.ts";

const DECODERS: Readonly<Record<ImageWrapper, StreamDecoder>> = {
  gz: gzipDecoder,
  xz: xzDecoder,
  zst: zstdDecoder,
  bz2: bzip2Decoder,
};

/** The decoder for a wrapper that detection named. */
export function streamDecoder(wrapper: ImageWrapper): StreamDecoder {
  return DECODERS[wrapper];
}
