import type { SparseStream } from "./sparse-stream.ts";

/** Expected digests of a file, in hexadecimal. */
export type ImageChecksum = Readonly<Partial<Record<"md5" | "sha1" | "sha256" | "sha512", string>>>;

/** A file on an HTTP server. */
export interface HttpImageSource {
  readonly type: "http";
  readonly url: string;
  /** Of the file as it is served. */
  readonly checksum?: ImageChecksum;
  /** Certificate authorities in PEM, trusted besides those of the system. */
  readonly caBundle?: string;
}

/** A container image that has a disk in its folder `/disk`. */
export interface ContainerImageSource {
  readonly type: "container";
  /** Such as `docker.io/library/ubuntu2204:latest`. */
  readonly image: string;
  /** A `.dockerconfigjson` document with credentials. */
  readonly dockerConfig?: string;
  readonly caBundle?: string;
}

/** A file that somebody sends. It is read once, so an import that fails is not tried again. */
export interface UploadImageSource {
  readonly type: "upload";
  /** Tells this upload from others under the same name. */
  readonly id: string;
  readonly content: AsyncIterable<Uint8Array>;
  /** Length of `content`, when it is known. */
  readonly sizeBytes?: number;
  readonly checksum?: ImageChecksum;
}

/** The content of a disk or a snapshot. */
export interface DiskImageSource {
  readonly type: "disk";
  /** Tells this content from others under the same name. */
  readonly id: string;
  open(signal: AbortSignal): Promise<SparseStream>;
}

/** Where an image comes from. */
export type ImageSource =
  HttpImageSource | ContainerImageSource | UploadImageSource | DiskImageSource;

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
    source: ImageSource,
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
