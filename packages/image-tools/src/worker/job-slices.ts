import type { DiskSegment } from "../disk/disk-segment.ts";

// What fits into the cache of a processor, so that it is still there when it is written.
const SLICE_BYTES = 256 * 1024;
// Zeros are looked for and leaves are taken in clusters of this size.
const ALIGNMENT = 64 * 1024;

/** A part of the piece of a disk that a job copies. */
export interface JobSlice {
  /** Where it begins on the disk. */
  readonly start: number;
  readonly length: number;
  readonly segments: readonly DiskSegment[];
}

/** Cuts a piece of a disk into slices of about 256 KiB that end at clusters of 64 KiB. */
export function* jobSlices(piece: JobSlice): Generator<JobSlice> {
  let { start } = piece;
  let length = 0;
  let segments: DiskSegment[] = [];
  for (const whole of piece.segments) {
    for (const segment of cutData(whole, start + length)) {
      segments.push(segment);
      length += segment.length;
      if (length < SLICE_BYTES || (start + length) % ALIGNMENT !== 0) continue;
      yield { start, length, segments };
      start += length;
      length = 0;
      segments = [];
    }
  }
  if (length > 0) yield { start, length, segments };
}

/** Cuts stored data at every multiple of a slice's size on the disk. */
function* cutData(segment: DiskSegment, start: number): Generator<DiskSegment> {
  if (segment.type !== "data") {
    yield segment;
    return;
  }
  for (let done = 0; done < segment.length;) {
    const room = SLICE_BYTES - ((start + done) % SLICE_BYTES);
    const length = Math.min(room, segment.length - done);
    yield { type: "data", length, hostOffset: segment.hostOffset + done };
    done += length;
  }
}
