import type { ImageWrapper } from "../detect/detector.ts";
import { gzipDecoder } from "./gzip-decoder.ts";
import type { StreamDecoder } from "./stream-decoder.ts";
import { xzDecoder } from "./xz-decoder.ts";

const DECODERS: Readonly<Record<ImageWrapper, StreamDecoder>> = {
  gz: gzipDecoder,
  xz: xzDecoder,
};

/** The decoder for a wrapper that detection named. */
export function streamDecoder(wrapper: ImageWrapper): StreamDecoder {
  return DECODERS[wrapper];
}
