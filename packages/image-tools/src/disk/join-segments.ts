import type { DiskSegment } from "./disk-segment.ts";

/** Joins holes that adjoin, and data that adjoins both on the disk and in the file. */
export function joinSegments(segments: Iterable<DiskSegment>): DiskSegment[] {
  const joined: DiskSegment[] = [];
  let last: DiskSegment | undefined;
  for (const segment of segments) {
    if (last?.type === "hole" && segment.type === "hole") {
      last = { type: "hole", length: last.length + segment.length };
      joined[joined.length - 1] = last;
    } else if (
      last?.type === "data" &&
      segment.type === "data" &&
      segment.hostOffset === last.hostOffset + last.length
    ) {
      last = {
        type: "data",
        length: last.length + segment.length,
        hostOffset: last.hostOffset,
      };
      joined[joined.length - 1] = last;
    } else {
      last = segment;
      joined.push(segment);
    }
  }
  return joined;
}
