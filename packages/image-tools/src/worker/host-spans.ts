import type { DiskSegment } from "../disk/disk-segment.ts";

const MAX_GAP_BYTES = 64 * 1024;
const MAX_SPAN_BYTES = 4 * 1024 * 1024;

/** A stretch of an image's file that is read at once. */
export interface HostSpan {
  readonly offset: number;
  readonly length: number;
}

/**
 * The stretches of a file of `sizeBytes` that `segments` need, as few as is reasonable, in the order
 * of the file. Every segment lies in one of them wholly, except for what is beyond the end of the
 * file.
 */
export function hostSpans(
  segments: readonly DiskSegment[],
  sizeBytes: number,
): readonly HostSpan[] {
  const needed: { offset: number; length: number }[] = [];
  for (const segment of segments) {
    if (segment.type === "hole") continue;
    const wanted = segment.type === "data" ? segment.length : segment.hostLength;
    const length = Math.min(wanted, sizeBytes - segment.hostOffset);
    if (length > 0) needed.push({ offset: segment.hostOffset, length });
  }
  needed.sort((a, b) => a.offset - b.offset);
  const spans: { offset: number; length: number }[] = [];
  for (const { offset, length } of needed) {
    const last = spans.at(-1);
    if (last !== undefined) {
      const end = Math.max(offset + length, last.offset + last.length);
      const isNear = offset - (last.offset + last.length) <= MAX_GAP_BYTES;
      const isInside = end === last.offset + last.length;
      if (isInside || (isNear && end - last.offset <= MAX_SPAN_BYTES)) {
        last.length = end - last.offset;
        continue;
      }
    }
    spans.push({ offset, length });
  }
  return spans;
}
