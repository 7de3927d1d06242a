import { ImageError } from "../image-error.ts";
import type { CopyJob, FilePiece } from "./copy-job.ts";
import { decodeBlock } from "../disk/decode-block.ts";
import { hostSpans } from "./host-spans.ts";
import { ReusedMemory } from "./reused-memory.ts";
import { readFileFully } from "./sync-file.ts";

const scratch = new ReusedMemory();

/** What reading a piece of a disk took. */
export interface ReadDiskPiece {
  readonly readBytes: number;
  readonly overlongBlocks: number;
}

/**
 * Fills `disk` with the piece of the disk that `job` names, reading and decoding on this thread.
 *
 * @throws ImageError `IMAGE_CORRUPT`, `IMAGE_TRUNCATED`, `IMAGE_IO`.
 */
export function readDiskPiece(job: CopyJob, disk: Buffer): ReadDiskPiece {
  const pieces = job.source.kind === "pieces" ? job.source.pieces : readCompressed(job);
  let readBytes = pieces.reduce((sum, { bytes }) => sum + bytes.length, 0);
  let overlongBlocks = 0;
  let position = 0;
  for (let index = 0; index < job.segments.length; index += 1) {
    const segment = job.segments[index];
    if (segment === undefined) break;
    if (segment.type === "hole") {
      disk.fill(0, position, position + segment.length);
      position += segment.length;
      continue;
    }
    if (segment.type === "compressed") {
      const compressed = cut(pieces, segment.hostOffset, segment.hostLength);
      const block = disk.subarray(position, position + segment.length);
      if (decodeBlock(segment, compressed, block).overlong) overlongBlocks += 1;
      position += segment.length;
      continue;
    }
    let { length } = segment;
    if (job.source.kind === "file") {
      for (;;) {
        const next = job.segments[index + 1];
        if (next?.type !== "data" || next.hostOffset !== segment.hostOffset + length) break;
        length += next.length;
        index += 1;
      }
      readFileFully(job.source.fd, disk.subarray(position, position + length), segment.hostOffset);
      readBytes += length;
    } else {
      const bytes = cut(pieces, segment.hostOffset, length);
      if (bytes.length < length) throw cutShort();
      disk.set(bytes, position);
    }
    position += length;
  }
  if (position !== job.length) throw new TypeError("the segments do not fill the job");
  return { readBytes, overlongBlocks };
}

/** Reads what is compressed; stored data is read to its place directly. */
function readCompressed(job: CopyJob): readonly FilePiece[] {
  if (job.source.kind !== "file") return [];
  const { fd, sizeBytes } = job.source;
  const compressed = job.segments.filter(({ type }) => type === "compressed");
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

function cut(pieces: readonly FilePiece[], offset: number, length: number): Buffer {
  const piece = pieces.find(
    (candidate) => candidate.offset <= offset && offset < candidate.offset + candidate.bytes.length,
  );
  if (piece === undefined) throw cutShort();
  const { bytes } = piece;
  const start = offset - piece.offset;
  const end = Math.min(start + length, bytes.length);
  return Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start);
}

function cutShort(): ImageError {
  return new ImageError("IMAGE_TRUNCATED", "the image refers to data beyond its end");
}
