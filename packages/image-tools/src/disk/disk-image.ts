import type { SparseStream } from "../sparse/sparse-stream.ts";

/** An opened disk image of any format: what its machine sees, as random access and as a sparse stream. */
export interface DiskImage extends AsyncDisposable {
  /** `qcow2`, `raw`, `iso`, `vmdk`, `vdi`, `vhd` or `vhdx`. */
  readonly format: string;
  /** Size of the disk as its machine sees it. */
  readonly virtualSizeBytes: number;
  /** Bytes of the disk that are backed by data in the file. */
  readonly allocatedBytes: number;
  /** What is odd and yet harmless, each a sentence. */
  readonly warnings: readonly string[];
  /** Exactly `length` bytes of the disk from byte `offset`. */
  read(offset: number, length: number, options?: { readonly signal?: AbortSignal }): Promise<Buffer>;
  /** The whole content. Disposing the stream leaves the image open. */
  stream(options?: { readonly signal?: AbortSignal }): SparseStream;
  /** Checks the whole structure once more, as opening did. */
  check(options?: { readonly signal?: AbortSignal }): Promise<void>;
}
