import { ImageError } from "../image-error.ts";
import type { FilePiece } from "./copy-job.ts";

/** At most `length` bytes of the file from `offset`, all in one piece. @throws ImageError `IMAGE_TRUNCATED`. */
export function cutPiece(pieces: readonly FilePiece[], offset: number, length: number): Buffer {
  const piece = pieces.find(
    (candidate) => candidate.offset <= offset && offset < candidate.offset + candidate.bytes.length,
  );
  if (piece === undefined) {
    throw new ImageError("IMAGE_TRUNCATED", "the image refers to data beyond its end");
  }
  const { bytes } = piece;
  const start = offset - piece.offset;
  const end = Math.min(start + length, bytes.length);
  return Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start);
}

/** Fills `target` with what the pieces hold of the file from `offset`. @throws ImageError `IMAGE_TRUNCATED`. */
export function copyPieces(pieces: readonly FilePiece[], offset: number, target: Uint8Array): void {
  for (let done = 0; done < target.length;) {
    const bytes = cutPiece(pieces, offset + done, target.length - done);
    target.set(bytes, done);
    done += bytes.length;
  }
}
