import { decodeBlock } from "../disk/decode-block.ts";
import type { DiskSegment } from "../disk/disk-segment.ts";
import type { CopyJob, CopySource, FilePiece } from "./copy-job.ts";
import { diskRuns } from "./disk-runs.ts";
import { copyPieces, cutPiece } from "./file-pieces.ts";
import { hostSpans } from "./host-spans.ts";
import { ReusedMemory } from "./reused-memory.ts";
import { readFileFully } from "./sync-file.ts";

const scratch = new ReusedMemory();

/** Reads and decodes the content of a job's piece of a disk on this thread, one job after the other. */
export class PieceReader {
  readonly #source: CopySource;
  readonly #pieces: readonly FilePiece[];
  #readBytes: number;
  #overlongBlocks = 0;

  /**
   * Reads what is compressed at once.
   *
   * @throws ImageError `IMAGE_TRUNCATED`, `IMAGE_IO`.
   */
  constructor({ source, segments, length }: CopyJob) {
    const total = segments.reduce((sum, segment) => sum + segment.length, 0);
    if (total !== length) throw new TypeError("the segments do not fill the job");
    this.#source = source;
    this.#pieces = source.kind === "pieces" ? source.pieces : readCompressed(source, segments);
    this.#readBytes = this.#pieces.reduce((sum, { bytes }) => sum + bytes.length, 0);
  }

  /** Bytes read of the image's file. */
  get readBytes(): number {
    return this.#readBytes;
  }

  /** Compressed blocks that went on after their end. */
  get overlongBlocks(): number {
    return this.#overlongBlocks;
  }

  /**
   * Fills `disk` with what `segments`, a part of those of the job, tell.
   *
   * @throws ImageError `IMAGE_CORRUPT`, `IMAGE_TRUNCATED`, `IMAGE_IO`.
   */
  read(segments: readonly DiskSegment[], disk: Buffer): void {
    for (const { position, segment } of diskRuns(segments)) {
      const target = disk.subarray(position, position + segment.length);
      switch (segment.type) {
        case "hole":
          target.fill(0);
          break;
        case "compressed": {
          const compressed = cutPiece(this.#pieces, segment.hostOffset, segment.hostLength);
          if (decodeBlock(segment, compressed, target).overlong) this.#overlongBlocks += 1;
          break;
        }
        case "data":
          if (this.#source.kind === "pieces") {
            copyPieces(this.#pieces, segment.hostOffset, target);
          } else {
            readFileFully(this.#source.fd, target, segment.hostOffset);
            this.#readBytes += segment.length;
          }
      }
    }
  }
}

function readCompressed(
  { fd, sizeBytes }: Extract<CopySource, { readonly kind: "file" }>,
  segments: readonly DiskSegment[],
): readonly FilePiece[] {
  const compressed = segments.filter(({ type }) => type === "compressed");
  const spans = hostSpans(compressed, sizeBytes);
  const total = spans.reduce((sum, { length }) => sum + length, 0);
  const memory = scratch.take(total);
  let used = 0;
  return spans.map(({ offset, length }) => {
    const bytes = memory.subarray(used, used + length);
    used += length;
    readFileFully(fd, bytes, offset);
    return { offset, bytes };
  });
}
