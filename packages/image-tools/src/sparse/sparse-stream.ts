/** A piece of a disk's content: literal bytes, or `length` zero bytes that need no storage. */
export type SparseExtent =
  | { readonly type: "data"; readonly bytes: Uint8Array }
  | { readonly type: "hole"; readonly length: number };

/**
 * Extents in order, without gaps, together exactly `sizeBytes` long. A data extent is at most
 * 1 MiB and two holes never adjoin.
 */
export interface SparseStream extends AsyncIterable<SparseExtent>, AsyncDisposable {
  readonly sizeBytes: number;
}
