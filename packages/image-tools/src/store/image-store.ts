import type { DiskFormat } from "../disk/disk-format.ts";
import type { Checksums } from "../http/checksum.ts";
import type { DownloadProgress } from "../http/progress-meter.ts";
import type { SparseStream } from "../sparse/sparse-stream.ts";

/** An image behind an http or https URL. */
export interface HttpImageSource {
  readonly type: "http";
  /** May hold user and password, which are sent to its origin only and stored nowhere. */
  readonly url: string;
  /** Expected checksums, in hexadecimal, of the file exactly as the server sends it. */
  readonly checksum?: Checksums;
  /** PEM certificates of authorities to trust besides those of Node and the system. */
  readonly caBundle?: string;
}

/** The disk in a container image: the file in its folder `/disk`. */
export interface ContainerImageSource {
  readonly type: "container";
  /** Such as `docker.io/someone/ubuntu:22.04`. */
  readonly image: string;
  /** Text of a `.dockerconfigjson` with the credentials; stored nowhere. */
  readonly dockerConfig?: string;
  /** PEM certificates of authorities to trust besides those of Node and the system. */
  readonly caBundle?: string;
}

/** A file that is sent, to be read once. */
export interface UploadImageSource {
  readonly type: "upload";
  /** Tells this upload from others under the same name. */
  readonly id: string;
  readonly content: AsyncIterable<Uint8Array>;
  /** Length of `content`, when it is known; anything else is an error. */
  readonly sizeBytes?: number;
  /** Expected checksums, in hexadecimal, of the file exactly as it is sent. */
  readonly checksum?: Checksums;
}

/** The content of a disk, which is kept as a raw image whatever is on it. */
export interface DiskImageSource {
  readonly type: "disk";
  /** Tells this content from others under the same name. */
  readonly id: string;
  /** Called once, when the import begins. */
  open(signal: AbortSignal): Promise<SparseStream>;
}

/** Where a store takes an image from. */
export type StoredImageSource =
  HttpImageSource | ContainerImageSource | UploadImageSource | DiskImageSource;

/** What a store knows of an image. */
export interface ImageInfo {
  readonly format: DiskFormat;
  /** Whether it is an optical disc. */
  readonly cdrom: boolean;
  /** Size of the disk as its machine sees it. */
  readonly virtualSizeBytes: number;
  /** Length of the stored file, after its compression was removed. */
  readonly storedBytes: number;
  /** SHA-256 of the stored file, in lower-case hexadecimal. */
  readonly sha256: string;
}

/** How far the download of an import has come; bytes are those served, before decompression. */
export type ImageImportProgress = DownloadProgress;

/** What every operation of a store takes. */
export interface ImageStoreCallOptions {
  /** Ends the call with the signal's reason; an import leaves nothing behind. */
  readonly signal?: AbortSignal;
}

/** Options of {@link ImageStore.importImage}. */
export interface ImportImageOptions extends ImageStoreCallOptions {
  /** Called about four times a second during the download. */
  readonly onProgress?: (progress: ImageImportProgress) => void;
}

/**
 * Keeps images under names of at most 200 characters that match
 * `[a-z0-9]([-a-z0-9._]*[a-z0-9])?`; every operation throws ImageError `IMAGE_INVALID_ARGUMENT`
 * for another name, and `IMAGE_IO` when the storage fails. Disposing a store ends its imports;
 * streams that it gave out stay readable.
 */
export interface ImageStore extends AsyncDisposable {
  /** Creates what is missing and removes what imports left that did not live to clean up. */
  open(options?: ImageStoreCallOptions): Promise<void>;
  /**
   * Takes in, decompresses, recognises and checks an image in one pass, and publishes it under
   * `name` only when all of that succeeded. What is no image or unsupported is refused after the
   * first bytes. When `name` is there already from the same source, returns its info; two sources
   * are the same when they have a checksum in common, else when URL, image or id and checksums are equal.
   *
   * @throws ImageError `IMAGE_SOURCE_*`, `IMAGE_TOO_MANY_REDIRECTS`, `IMAGE_UNSAFE_REDIRECT`,
   * `IMAGE_CHECKSUM_MISMATCH`, `IMAGE_UNRECOGNISED`, `IMAGE_CORRUPT`, `IMAGE_TRUNCATED`,
   * `IMAGE_UNSAFE`, `IMAGE_UNSUPPORTED`, `IMAGE_TOO_LARGE`, or `IMAGE_CONFLICT` when `name` is
   * taken by another source, and what the source of a disk throws.
   */
  importImage(
    name: string,
    source: StoredImageSource,
    options?: ImportImageOptions,
  ): Promise<ImageInfo>;
  /** @throws ImageError `IMAGE_CORRUPT` when the stored image was tampered with. */
  inspect(name: string, options?: ImageStoreCallOptions): Promise<ImageInfo | undefined>;
  /**
   * The raw content of the disk; dispose the stream when done.
   *
   * @throws ImageError `IMAGE_NOT_FOUND`; `IMAGE_CORRUPT` and the like when the stored image was
   * tampered with.
   */
  read(name: string, options?: ImageStoreCallOptions): Promise<SparseStream>;
  /** Does nothing when there is no such image. */
  delete(name: string, options?: ImageStoreCallOptions): Promise<void>;
  /** All names, sorted. */
  list(options?: ImageStoreCallOptions): Promise<readonly string[]>;
}
