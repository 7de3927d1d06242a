import type { CopyOutput, CopyResult } from "../worker/copy-job.ts";

/** Stores a disk in one format. */
export interface DiskSink {
  /** What is to be done with every piece of the disk. */
  readonly output: CopyOutput;
  /** Takes what was done with the piece that begins at `start`; pieces come in order. */
  accept(start: number, result: CopyResult): Promise<void>;
  /**
   * Completes the image of a disk of `sizeBytes` and waits until it is on stable storage. Returns
   * the size of its file.
   */
  finish(sizeBytes: number): Promise<number>;
}
