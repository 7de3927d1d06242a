import type { SparseStream } from "./sparse-stream.ts";

/** A file on an HTTP server. */
export interface HttpImageSource {
  readonly url: string;
  /** Expected digests of the file as it is served, in hexadecimal. */
  readonly checksum?: Readonly<Partial<Record<"md5" | "sha1" | "sha256" | "sha512", string>>>;
  /** Certificate authorities in PEM, trusted besides those of the system. */
  readonly caBundle?: string;
}

/** What was found out about an image. */
export interface ImageInfo {
  readonly format: string;
  /** True for an ISO image. */
  readonly cdrom: boolean;
  /** The size of the disk that a guest sees. */
  readonly virtualSizeBytes: number;
  readonly storedBytes: number;
  /** Of the file as it was served. */
  readonly sha256: string;
}

/** How far an import has come. */
export interface ImageImportProgress {
  readonly receivedBytes: number;
  /** Absent when the server does not say. */
  readonly totalBytes?: number;
  readonly bytesPerSecond: number;
}

/**
 * Keeps images by name.
 *
 * Errors are of any class, with a stable `code`, a message for a person and `retryable`: true when the same import can
 * succeed later. After a failed or aborted import nothing is left.
 */
export interface ImageStore extends AsyncDisposable {
  open(options?: { readonly signal?: AbortSignal }): Promise<void>;

  /**
   * Fetches an image, checks it and keeps it. Gives back what is there when the same source was imported before; rejects
   * with the code `IMAGE_CONFLICT` when the name has an image of another source.
   */
  importImage(
    name: string,
    source: HttpImageSource,
    options: {
      readonly signal?: AbortSignal;
      readonly onProgress?: (progress: ImageImportProgress) => void;
    },
  ): Promise<ImageInfo>;

  /** What is kept under that name; `undefined` when nothing is. */
  inspect(
    name: string,
    options?: { readonly signal?: AbortSignal },
  ): Promise<ImageInfo | undefined>;

  /** The content of the disk. */
  read(name: string, options?: { readonly signal?: AbortSignal }): Promise<SparseStream>;

  /** Deletes an image; does nothing when it does not exist. */
  delete(name: string, options?: { readonly signal?: AbortSignal }): Promise<void>;
}
