import { detectImage } from "../detect/detect-image.ts";
import type { ForwardDisk } from "../forward/forward-disk.ts";
import type { WindowReader } from "../forward/window-reader.ts";
import { ImageError } from "../image-error.ts";
import type { FilePiece } from "../worker/copy-job.ts";
import { hostSpans } from "../worker/host-spans.ts";
import { planCopy, type CopyStep, type PlanCopyOptions } from "./plan-copy.ts";

/** What {@link forwardSteps} reads. */
export interface ForwardStepsInput {
  readonly window: WindowReader;
  readonly disk: ForwardDisk;
  /** The beginning of the stream. */
  readonly head: Buffer;
  readonly format: string;
}

/**
 * The steps of copying a disk that comes as a stream, each with its bytes. Reads the stream to its
 * end and completes the checks.
 */
export async function* forwardSteps(
  { window, disk, head, format }: ForwardStepsInput,
  options: PlanCopyOptions,
): AsyncGenerator<CopyStep, void, void> {
  for await (const step of planCopy(disk.segments(), options)) {
    if (step.type === "hole") {
      yield step;
      continue;
    }
    const pieces: FilePiece[] = [];
    for (const { offset, length } of hostSpans(step.segments, Number.POSITIVE_INFINITY)) {
      // The bound of the last compressed block may lie beyond the end.
      const bytes = await window.readUpTo(offset, length);
      if (bytes.length > 0) pieces.push({ offset, bytes });
    }
    for (const segment of step.segments) {
      if (segment.type === "data") window.release(segment.hostOffset, segment.length);
      if (segment.type === "compressed") window.release(segment.hostOffset, segment.hostLength);
    }
    yield { ...step, pieces, isOwned: true };
  }
  const tail = await window.finish();
  requireSameFormat(head, tail, format);
  await disk.finish(tail);
}

/** @throws ImageError `IMAGE_UNSAFE` when the end of a stream is that of another format. */
function requireSameFormat(head: Buffer, tail: Buffer, format: string): void {
  const detected = detectImage(head, tail);
  if (detected.kind === "image" && detected.format === format) return;
  throw new ImageError(
    "IMAGE_UNSAFE",
    `the file begins like an image of format ${format}, but ends like another one`,
  );
}
