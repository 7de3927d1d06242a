import type { SparseExtent, SparseStream } from "@polyvisor/core";

/** Bytes somewhere in a content; between them are zeros. */
interface Piece {
  readonly offset: number;
  readonly bytes: Uint8Array;
}

/** What a disk holds. It never changes: a write gives another content, which shares what was not written. */
export class Content {
  readonly sizeBytes: number;
  /**
   * How many bytes it stands for when it is moved. Made-up contents hold next to nothing and stand for what they would
   * weigh.
   */
  readonly weightBytes: number;
  readonly #pieces: readonly Piece[];

  constructor(sizeBytes: number, pieces: readonly Piece[] = [], weightBytes?: number) {
    this.sizeBytes = sizeBytes;
    this.#pieces = pieces;
    this.weightBytes = weightBytes ?? pieces.reduce((total, { bytes }) => total + bytes.length, 0);
  }

  static ofExtents(extents: readonly SparseExtent[], weightBytes?: number): Content {
    const pieces: Piece[] = [];
    let offset = 0;
    for (const extent of extents) {
      if (extent.type === "data") pieces.push({ offset, bytes: extent.bytes });
      offset += extent.type === "data" ? extent.bytes.length : extent.length;
    }
    return new Content(offset, pieces, weightBytes);
  }

  /** With another size; what lies behind its end is gone. */
  resized(sizeBytes: number): Content {
    if (sizeBytes === this.sizeBytes) return this;
    const pieces = this.#pieces.flatMap(({ offset, bytes }) =>
      offset >= sizeBytes ? [] : { offset, bytes: bytes.subarray(0, sizeBytes - offset) },
    );
    return new Content(sizeBytes, pieces, this.weightBytes);
  }

  /** With bytes written over what was there. */
  written(offset: number, bytes: Uint8Array): Content {
    const end = offset + bytes.length;
    const pieces: Piece[] = [];
    for (const piece of this.#pieces) {
      const pieceEnd = piece.offset + piece.bytes.length;
      if (pieceEnd <= offset || piece.offset >= end) {
        pieces.push(piece);
        continue;
      }
      if (piece.offset < offset) {
        pieces.push({ ...piece, bytes: piece.bytes.subarray(0, offset - piece.offset) });
      }
      if (pieceEnd > end) {
        pieces.push({ offset: end, bytes: piece.bytes.subarray(end - piece.offset) });
      }
    }
    pieces.push({ offset, bytes: Uint8Array.from(bytes) });
    pieces.sort((a, b) => a.offset - b.offset);
    return new Content(Math.max(this.sizeBytes, end), pieces, this.weightBytes + bytes.length);
  }

  /** `length` bytes from `offset` on. */
  bytes(offset: number, length: number): Uint8Array {
    const result = Buffer.alloc(length);
    for (const piece of this.#pieces) {
      const from = Math.max(offset, piece.offset);
      const to = Math.min(offset + length, piece.offset + piece.bytes.length);
      if (from >= to) continue;
      result.set(piece.bytes.subarray(from - piece.offset, to - piece.offset), from - offset);
    }
    return result;
  }

  stream(): ContentStream {
    return new ContentStream(this);
  }

  *extents(): Generator<SparseExtent> {
    let position = 0;
    for (const { offset, bytes } of this.#pieces) {
      if (offset > position) yield { type: "hole", length: offset - position };
      yield { type: "data", bytes };
      position = offset + bytes.length;
    }
    if (this.sizeBytes > position) yield { type: "hole", length: this.sizeBytes - position };
  }
}

/** A stream of a content that is known: a simulated storage takes it over as a whole. */
export class ContentStream implements SparseStream {
  readonly content: Content;

  constructor(content: Content) {
    this.content = content;
  }

  get sizeBytes(): number {
    return this.content.sizeBytes;
  }

  async *[Symbol.asyncIterator](): AsyncIterator<SparseExtent> {
    yield* this.content.extents();
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}

/** The content of any stream. What the stream gives is copied, because it may use its memory again. */
export async function readContent(
  stream: SparseStream,
  signal: AbortSignal | undefined,
  onProgress: (bytes: number) => void,
): Promise<Content> {
  const pieces: Piece[] = [];
  let offset = 0;
  for await (const extent of stream) {
    signal?.throwIfAborted();
    if (extent.type === "data") pieces.push({ offset, bytes: Uint8Array.from(extent.bytes) });
    offset += extent.type === "data" ? extent.bytes.length : extent.length;
    onProgress(offset);
  }
  return new Content(stream.sizeBytes, pieces);
}
