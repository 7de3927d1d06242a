/** A piece of a block device's content: bytes, or a run of zeros. */
export type SparseExtent =
  | { readonly type: "data"; readonly bytes: Uint8Array }
  | { readonly type: "hole"; readonly length: number };

/** The content of a block device: extents in order and without gaps, together exactly `sizeBytes` long. */
export interface SparseStream extends AsyncIterable<SparseExtent>, AsyncDisposable {
  readonly sizeBytes: number;
}
