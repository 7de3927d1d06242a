/**
 * Where an image is written to. Nothing is visible under its name before `commit`; disposing a
 * target that was not committed removes what was written.
 */
export interface ImageTarget extends AsyncDisposable {
  /** Number of the open file, for threads of this process that write to it themselves. */
  readonly fd: number;
  /** The file that is being written, to be read again before it is published. */
  readonly workPath: string;
  /** Whether unwritten parts read as zeros. */
  readonly zeroed: boolean;
  /** Writes all of `bytes` at `position`. @throws ImageError `IMAGE_IO`. */
  write(bytes: Uint8Array, position: number): Promise<void>;
  /** Fixes the size and waits until everything is on stable storage. @throws ImageError `IMAGE_IO`. */
  finish(sizeBytes: number): Promise<void>;
  /** Publishes a finished image under its name. @throws ImageError `IMAGE_IO`. */
  commit(): Promise<void>;
}
