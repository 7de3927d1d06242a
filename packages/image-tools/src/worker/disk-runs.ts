import type { DiskSegment } from "../disk/disk-segment.ts";

/** A segment and where it begins in a piece of a disk. */
export interface DiskRun {
  readonly position: number;
  readonly segment: DiskSegment;
}

/** The segments of a piece, with stored data that adjoins in the file as one. */
export function* diskRuns(segments: readonly DiskSegment[]): Generator<DiskRun> {
  let position = 0;
  let run: DiskRun | undefined;
  for (const segment of segments) {
    const joined = run === undefined ? undefined : join(run.segment, segment);
    if (run !== undefined && joined !== undefined) {
      run = { position: run.position, segment: joined };
    } else {
      if (run !== undefined) yield run;
      run = { position, segment };
    }
    position += segment.length;
  }
  if (run !== undefined) yield run;
}

function join(first: DiskSegment, second: DiskSegment): DiskSegment | undefined {
  if (first.type !== "data" || second.type !== "data") return undefined;
  if (first.hostOffset + first.length !== second.hostOffset) return undefined;
  return { ...first, length: first.length + second.length };
}
