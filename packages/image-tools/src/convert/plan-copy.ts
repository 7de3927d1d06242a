import type { DiskSegment } from "../disk/disk-segment.ts";
import { ImageError } from "../image-error.ts";
import type { FilePiece } from "../worker/copy-job.ts";

/** The pieces that a disk is copied in; every block of every format that is known fits into one. */
export const COPY_PIECE_BYTES: number = 2 * 1024 * 1024;

/** A step of copying a disk. Steps begin at multiples of the size of a piece. */
export type CopyStep =
  | { readonly type: "hole"; readonly start: number; readonly length: number }
  | {
      readonly type: "piece";
      readonly start: number;
      readonly length: number;
      readonly segments: readonly DiskSegment[];
      /** What of the image's file is needed, where it has been read already. */
      readonly pieces?: readonly FilePiece[];
      /** Whether nobody else has the memory of these. */
      readonly isOwned?: boolean;
    };

/** Options of {@link planCopy}. */
export interface PlanCopyOptions {
  /** Gives out holes as pieces like all else, for a target that does not read as zeros. */
  readonly writeHoles?: boolean | undefined;
}

/**
 * Cuts the segments of a disk into pieces of 2 MiB, and passes over what is a hole.
 *
 * @throws ImageError `IMAGE_UNSUPPORTED` when a compressed block lies across the end of a piece.
 */
export async function* planCopy(
  tables: AsyncIterable<Iterable<DiskSegment>>,
  options: PlanCopyOptions = {},
): AsyncGenerator<CopyStep, void, void> {
  let start = 0;
  let length = 0;
  let segments: DiskSegment[] = [];
  let hasData = false;
  let holeLength = 0;

  function* closePiece(): Generator<CopyStep, void, void> {
    if (!hasData && options.writeHoles !== true) {
      holeLength += length;
    } else {
      yield* closeHole();
      yield { type: "piece", start, length, segments };
    }
    start += length;
    length = 0;
    segments = [];
    hasData = false;
  }

  function* closeHole(): Generator<CopyStep, void, void> {
    if (holeLength > 0) yield { type: "hole", start: start - holeLength, length: holeLength };
    holeLength = 0;
  }

  for await (const table of tables) {
    for (const segment of table) {
      let rest = segment;
      while (rest.length > 0) {
        const isWholeHole = rest.type === "hole" && length === 0 && options.writeHoles !== true;
        if (isWholeHole && rest.length >= COPY_PIECE_BYTES) {
          const whole = rest.length - (rest.length % COPY_PIECE_BYTES);
          holeLength += whole;
          start += whole;
          rest = { type: "hole", length: rest.length - whole };
          continue;
        }
        const room = COPY_PIECE_BYTES - length;
        const [taken, left] = rest.length <= room ? [rest, undefined] : split(rest, room);
        segments.push(taken);
        length += taken.length;
        if (taken.type !== "hole") hasData = true;
        if (length === COPY_PIECE_BYTES) yield* closePiece();
        if (left === undefined) break;
        rest = left;
      }
    }
  }
  if (length > 0) yield* closePiece();
  yield* closeHole();
}

function split(segment: DiskSegment, at: number): readonly [DiskSegment, DiskSegment] {
  switch (segment.type) {
    case "hole":
      return [
        { type: "hole", length: at },
        { type: "hole", length: segment.length - at },
      ];
    case "data":
      return [
        { ...segment, length: at },
        { ...segment, length: segment.length - at, hostOffset: segment.hostOffset + at },
      ];
    case "compressed":
      throw new ImageError(
        "IMAGE_UNSUPPORTED",
        `the image has compressed blocks of ${segment.blockBytes} bytes, which is too large`,
      );
  }
}
