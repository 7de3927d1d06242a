import type { BlockCodec, DiskSegment } from "../disk/disk-segment.ts";

/** Bytes of an image's file, read in advance. */
export interface FilePiece {
  readonly offset: number;
  readonly bytes: Uint8Array;
}

/** Where a job finds the image's file: in an open local file, or already read. */
export type CopySource =
  | { readonly kind: "file"; readonly fd: number; readonly sizeBytes: number }
  | {
      readonly kind: "pieces";
      readonly pieces: readonly FilePiece[];
      /** Whether nobody else has the memory of the pieces, which is given away then. */
      readonly isOwned?: boolean;
    };

/** How blocks of the disk are stored. */
export interface BlockEncoding {
  readonly codec: BlockCodec | "none";
  /** Size of a block; the last one of the disk is filled up with zeros. */
  readonly blockBytes: number;
  /** Stores a block as it is when compressing does not make it smaller. */
  readonly keepIncompressible: boolean;
}

/** What a job does with its piece of the disk. */
export type CopyOutput =
  /** Writes it to the same place of an open file; zeros are left out where the file is `zeroed`. */
  | { readonly kind: "file"; readonly fd: number; readonly zeroed: boolean }
  /** Gives it back in blocks, without those of zeros. */
  | { readonly kind: "blocks"; readonly encoding: BlockEncoding }
  /** Only reads and decodes it. */
  | { readonly kind: "nothing" };

/** Reads, decodes and stores one piece of a disk. */
export interface CopyJob {
  /** Where the piece begins on the disk. */
  readonly start: number;
  readonly length: number;
  /** Together `length` bytes long. */
  readonly segments: readonly DiskSegment[];
  readonly source: CopySource;
  readonly output: CopyOutput;
  /** Whether the leaves of the content digest are wanted; `start` is a multiple of 64 KiB then. */
  readonly leaves: boolean;
}

/** One stored block in the bytes of a {@link CopyResult}. */
export interface StoredBlock {
  /** Number of the block within the job. */
  readonly index: number;
  readonly offset: number;
  readonly length: number;
  readonly compressed: boolean;
}

/** What a {@link CopyJob} did. */
export interface CopyResult {
  /** Bytes read of the image's file. */
  readonly readBytes: number;
  /** Bytes of the disk that are not in a zero granule. */
  readonly dataBytes: number;
  /** Compressed blocks that went on after their end. */
  readonly overlongBlocks: number;
  readonly leaves?: Uint8Array;
  readonly blocks?: readonly StoredBlock[];
  readonly bytes?: Uint8Array;
}
