/** How a block of an image file is compressed: raw deflate, deflate in a zlib stream, or zstd. */
export type BlockCodec = "deflate" | "zlib" | "zstd";

/** Where a stretch of a disk, `length` bytes long, is found in the image's file. */
export type DiskSegment =
  /** Reads as zeros. */
  | { readonly type: "hole"; readonly length: number }
  /** Stored as it is from byte `hostOffset`. */
  | { readonly type: "data"; readonly length: number; readonly hostOffset: number }
  /** The first `length` bytes of a compressed block. */
  | {
      readonly type: "compressed";
      readonly length: number;
      readonly hostOffset: number;
      /** Upper bound of the compressed bytes; it may reach beyond the end of the file. */
      readonly hostLength: number;
      readonly codec: BlockCodec;
      /** Size of the whole block once it is decoded, which must not be exceeded. */
      readonly blockBytes: number;
    };

/** A compressed {@link DiskSegment}. */
export type CompressedSegment = Extract<DiskSegment, { readonly type: "compressed" }>;
