import type { CopyExecutor } from "../worker/copy-executor.ts";
import type { DiskSink } from "../write/disk-sink.ts";
import type { ConversionMeter } from "./conversion-progress.ts";
import type { ConversionSource } from "./conversion-source.ts";
import { copyDisk, type ContentObserver } from "./copy-disk.ts";
import type { CopyStep } from "./plan-copy.ts";

const OVERLONG_WARNING = "a compressed block holds more than fits; the rest was ignored";

/** What {@link copySource} works with. */
export interface CopySourceInput {
  readonly source: ConversionSource;
  readonly sink: DiskSink;
  readonly writeHoles: boolean;
  readonly executor: CopyExecutor;
  readonly observer: ContentObserver | undefined;
  /** Where to begin; what is before is there already. Default: 0. */
  readonly start?: number;
  /** Called after each step. */
  readonly onStep?: () => void;
  /** Waited for after each step. */
  readonly afterStep?: () => Promise<void>;
  readonly meter: ConversionMeter;
  readonly signal: AbortSignal | undefined;
}

/** What {@link copySource} found. */
export interface CopiedSource {
  readonly virtualSizeBytes: number;
  readonly warnings: readonly string[];
}

/** Copies the whole disk of a source and measures that. */
export async function copySource(input: CopySourceInput): Promise<CopiedSource> {
  const { source, meter } = input;
  let allocatedDone = 0;
  let overlongBlocks = 0;
  let streamBytes = 0;
  const start = input.start ?? 0;

  async function* counted(steps: AsyncIterable<CopyStep>): AsyncGenerator<CopyStep, void, void> {
    for await (const step of steps) {
      if (step.start + step.length <= start) {
        allocatedDone += allocatedIn(step);
        const fraction = fractionOf(source, allocatedDone);
        if (fraction !== undefined) meter.skip(fraction);
      }
      yield step;
    }
  }

  const virtualSizeBytes = await copyDisk({
    ...input,
    start,
    steps: counted(source.steps({ writeHoles: input.writeHoles })),
    reader: source.reader,
    onStep: async (step, result) => {
      allocatedDone += allocatedIn(step);
      overlongBlocks += result?.overlongBlocks ?? 0;
      const streamed = source.streamBytes() - streamBytes;
      streamBytes += streamed;
      const read = source.reader === undefined ? streamed : (result?.readBytes ?? 0);
      meter.add(read, result?.dataBytes ?? 0, fractionOf(source, allocatedDone));
      input.onStep?.();
      await input.afterStep?.();
    },
  });
  // Checking the image may have met the same before.
  const warnings = new Set(source.warnings());
  if (overlongBlocks > 0) warnings.add(OVERLONG_WARNING);
  return { virtualSizeBytes, warnings: [...warnings] };
}

function allocatedIn(step: CopyStep): number {
  if (step.type === "hole") return 0;
  let bytes = 0;
  for (const segment of step.segments) if (segment.type !== "hole") bytes += segment.length;
  return bytes;
}

function fractionOf(source: ConversionSource, allocatedDone: number): number | undefined {
  const ofStream = source.streamFraction();
  if (ofStream !== undefined) return ofStream;
  const { allocatedBytes } = source;
  return allocatedBytes === undefined ? undefined : allocatedDone / Math.max(1, allocatedBytes);
}
