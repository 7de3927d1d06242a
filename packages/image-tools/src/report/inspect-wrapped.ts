import { limitExpansion, countBytes, type ByteCounter } from "../decode/limit-expansion.ts";
import { streamDecoder } from "../decode/stream-decoders.ts";
import { HEAD_SAMPLE_BYTES, type ImageWrapper } from "../detect/detector.ts";
import { isImageError } from "../image-error.ts";
import { memoryReader, type RandomAccessReader } from "../io/random-access-reader.ts";
import { BudgetExceeded, headReader } from "./bounded-reader.ts";
import { unlessExceeded } from "./inspect-disk.ts";
import { xzContentSize } from "../xz/xz-streams.ts";

const INPUT_STEP_BYTES = 64 * 1024;

/** What can be seen of the content of a compressed file. */
export interface Unwrapped {
  /** The content or, when it is long, its beginning. */
  readonly reader: RandomAccessReader;
  /** Length of the content, when it is known. */
  readonly sizeBytes: number | undefined;
}

/** How much {@link unwrapForInspection} decodes. */
export interface UnwrapLimits {
  /** Content up to this length is decoded wholly, when the budget for reading allows. */
  readonly maxContentBytes: number;
  readonly maxDecompressionRatio: number;
  readonly signal: AbortSignal | undefined;
}

/**
 * Decodes the beginning of a compressed file.
 *
 * @throws ImageError as decoding does.
 */
export async function unwrapForInspection(
  reader: RandomAccessReader,
  wrapper: ImageWrapper,
  limits: UnwrapLimits,
): Promise<Unwrapped> {
  const indexed = wrapper === "xz" ? await unlessExceeded(() => xzContentSize(reader)) : undefined;
  const content = await decodeStart(reader, wrapper, limits, indexed);
  if (content.isWhole)
    return { reader: memoryReader(content.bytes), sizeBytes: content.bytes.length };
  const sizeBytes = indexed ?? Number.MAX_SAFE_INTEGER;
  return { reader: headReader(content.bytes, sizeBytes), sizeBytes: indexed };
}

async function decodeStart(
  reader: RandomAccessReader,
  wrapper: ImageWrapper,
  { maxContentBytes, maxDecompressionRatio, signal }: UnwrapLimits,
  indexed: number | undefined,
): Promise<{ readonly bytes: Buffer; readonly isWhole: boolean }> {
  const state = { exceeded: false };
  const counter: ByteCounter = { bytes: 0 };
  const input = countBytes(readWhileAllowed(reader, state, signal), counter);
  const decoded = streamDecoder(wrapper).decode(input);
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  try {
    for await (const chunk of limitExpansion(decoded, counter, maxDecompressionRatio)) {
      chunks.push(chunk);
      bytes += chunk.length;
      const isEnough = bytes > maxContentBytes || (indexed ?? 0) > maxContentBytes;
      if (isEnough && bytes >= HEAD_SAMPLE_BYTES)
        return { bytes: Buffer.concat(chunks), isWhole: false };
    }
  } catch (error) {
    // Where reading stopped the decoder sees a truncated file, which says nothing about the file.
    const isCut = state.exceeded && isImageError(error);
    if (!isCut) throw error;
  }
  if (state.exceeded && bytes === 0) throw new BudgetExceeded();
  return { bytes: Buffer.concat(chunks), isWhole: !state.exceeded };
}

async function* readWhileAllowed(
  reader: RandomAccessReader,
  state: { exceeded: boolean },
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array, void, void> {
  for (let offset = 0; offset < reader.sizeBytes; offset += INPUT_STEP_BYTES) {
    signal?.throwIfAborted();
    const length = Math.min(INPUT_STEP_BYTES, reader.sizeBytes - offset);
    const chunk = await unlessExceeded(() => reader.read(offset, length));
    if (chunk === undefined) {
      state.exceeded = true;
      return;
    }
    yield chunk;
  }
}
