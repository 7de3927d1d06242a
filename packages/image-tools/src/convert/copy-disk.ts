import { CONTENT_CLUSTER_BYTES } from "../digest/content-digest.ts";
import { mapOrdered } from "../io/ordered-queue.ts";
import type { RandomAccessReader } from "../io/random-access-reader.ts";
import type { CopyExecutor } from "../worker/copy-executor.ts";
import type { CopyJob, CopyResult, CopySource } from "../worker/copy-job.ts";
import { hostSpans } from "../worker/host-spans.ts";
import type { DiskSink } from "../write/disk-sink.ts";
import type { CopyStep } from "./plan-copy.ts";

/** Is told about the whole content of a disk, in order. */
export interface ContentObserver {
  addZeroClusters(count: number): void;
  addLeaves(leaves: Buffer): void;
}

/** What {@link copyDisk} works with. */
export interface CopyDiskInput {
  readonly steps: AsyncIterable<CopyStep>;
  /** The image's file, for steps that do not carry their bytes. */
  readonly reader: RandomAccessReader | undefined;
  readonly sink: DiskSink;
  readonly executor: CopyExecutor;
  /** Leaves are taken only where somebody wants to know them. */
  readonly observer: ContentObserver | undefined;
  /** Where to begin, a multiple of the size of a piece; what is before is there already. */
  readonly start: number;
  /** Waited for after each step, in order. */
  readonly onStep: (step: CopyStep, result: CopyResult | undefined) => Promise<void>;
  readonly signal: AbortSignal | undefined;
}

/** Copies a disk, several pieces at a time. Returns its size. */
export async function copyDisk(input: CopyDiskInput): Promise<number> {
  const { executor, observer, sink, signal, onStep } = input;
  let sizeBytes = input.start;
  const done = mapOrdered(
    stepsFrom(input.steps, input.start),
    executor.concurrency,
    async (step) => {
      signal?.throwIfAborted();
      return { step, result: await runStep(input, step) };
    },
  );
  for await (const { step, result } of done) {
    signal?.throwIfAborted();
    sizeBytes = step.start + step.length;
    if (result === undefined) {
      observer?.addZeroClusters(Math.ceil(step.length / CONTENT_CLUSTER_BYTES));
    } else {
      if (result.leaves !== undefined) observer?.addLeaves(Buffer.from(result.leaves));
      await sink.accept(step.start, result);
    }
    await onStep(step, result);
  }
  return sizeBytes;
}

async function* stepsFrom(
  steps: AsyncIterable<CopyStep>,
  start: number,
): AsyncGenerator<CopyStep, void, void> {
  for await (const step of steps) {
    const end = step.start + step.length;
    if (step.start >= start) yield step;
    else if (end > start && step.type === "hole") {
      yield { type: "hole", start, length: end - start };
    }
  }
}

async function runStep(input: CopyDiskInput, step: CopyStep): Promise<CopyResult | undefined> {
  if (step.type === "hole") return undefined;
  const job: CopyJob = {
    start: step.start,
    length: step.length,
    segments: step.segments,
    source: await sourceOf(input, step),
    output: input.sink.output,
    leaves: input.observer !== undefined,
  };
  return input.executor.run(job);
}

async function sourceOf(
  { reader }: CopyDiskInput,
  step: Extract<CopyStep, { readonly type: "piece" }>,
): Promise<CopySource> {
  const { pieces: given, isOwned = false } = step;
  if (given !== undefined) return { kind: "pieces", pieces: given, isOwned };
  if (reader === undefined) throw new TypeError("a step without bytes needs a reader");
  const { fd, sizeBytes } = reader;
  if (fd !== undefined) return { kind: "file", fd, sizeBytes };
  const pieces = await Promise.all(
    hostSpans(step.segments, sizeBytes).map(async ({ offset, length }) => ({
      offset,
      bytes: copyOf(await reader.read(offset, length)),
    })),
  );
  return { kind: "pieces", pieces, isOwned: true };
}

// A part of a larger piece of memory would be passed to a thread with all that is around it.
function copyOf(bytes: Buffer): Buffer {
  const copied = Buffer.allocUnsafeSlow(bytes.length);
  copied.set(bytes);
  return copied;
}
