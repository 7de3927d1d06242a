import type { DiskSegment } from "../disk/disk-segment.ts";
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

/** Where one segment of a disk was stored. */
export interface SegmentMark {
  /** Byte of the file behind it and all before it. */
  readonly end: number;
  /** Where the table is that describes it; 0 if it needs none. */
  readonly table: number;
}

/** A sink that can go on with the file that an interrupted run has left. */
export interface ResumableSink extends DiskSink {
  /**
   * Writes all that is needed to read what was accepted so far, without waiting for stable storage.
   * Returns the marks of the segments that begin at `starts`.
   */
  checkpoint(starts: readonly number[]): Promise<readonly SegmentMark[]>;
  /**
   * Where the `length` bytes of the disk from `start` lie in the file, by the mark of their segment.
   *
   * @throws ImageError `IMAGE_TRUNCATED`, `IMAGE_CORRUPT` when the file is not as it was left.
   */
  locate(mark: SegmentMark, start: number, length: number): readonly DiskSegment[];
  /** Goes on behind the first `length` bytes of the disk, by the marks of their segments. */
  resume(marks: readonly SegmentMark[], length: number): void;
}
