import { Readable } from "node:stream";
import { ImageError, isImageError } from "../image-error.ts";

/** Bytes that can be read once, in order. Disposing it ends whatever gives them. */
export interface ForwardSource extends AsyncIterable<Uint8Array>, AsyncDisposable {
  /** Length of the whole, when it is known beforehand. */
  readonly sizeBytes?: number | undefined;
}

/** Options of {@link fromStream}. */
export interface FromStreamOptions {
  /** Announced length, such as the `Content-Length` of an upload; anything else is an error. */
  readonly sizeBytes?: number | undefined;
  /** Refuses longer streams. Default: no limit. */
  readonly maxBytes?: number | undefined;
  /** Names the stream in messages. Default: "the stream". */
  readonly name?: string | undefined;
  /** Ends the iteration with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Makes a source of a stream of bytes, for example of the body of an upload: a Node.js `Readable`,
 * a web `ReadableStream` or any other async iterable. It can be iterated once.
 *
 * @throws ImageError `IMAGE_INVALID_ARGUMENT` for an impossible length or at a chunk that is not
 * bytes, `IMAGE_TOO_LARGE` over the limit; on iterating `IMAGE_SOURCE_TRUNCATED` or
 * `IMAGE_SOURCE_INVALID` when the stream is shorter or longer than announced, or breaks.
 */
export function fromStream(
  stream: AsyncIterable<Uint8Array>,
  options: FromStreamOptions = {},
): ForwardSource {
  const { sizeBytes, maxBytes = Infinity, name = "the stream" } = options;
  if (sizeBytes !== undefined && !(Number.isSafeInteger(sizeBytes) && sizeBytes >= 0)) {
    throw new ImageError("IMAGE_INVALID_ARGUMENT", `the length of ${name} is not a byte count`);
  }
  if (sizeBytes !== undefined && sizeBytes > maxBytes) throw tooLarge(name, maxBytes);
  const iterator = stream[Symbol.asyncIterator]();
  const end = async (): Promise<void> => {
    // A generator that waits for its next chunk would put off its end until that chunk comes.
    if (stream instanceof Readable) stream.destroy();
    const ended = iterator.return?.();
    if (options.signal?.aborted === true) ended?.catch(() => {});
    else await ended;
  };
  return {
    ...(sizeBytes === undefined ? {} : { sizeBytes }),
    [Symbol.asyncIterator]: () => measured(iterator, end, { ...options, name, maxBytes }),
    [Symbol.asyncDispose]: end,
  };
}

interface MeasureSettings extends FromStreamOptions {
  readonly name: string;
  readonly maxBytes: number;
}

async function* measured(
  iterator: AsyncIterator<Uint8Array>,
  end: () => Promise<void>,
  { sizeBytes, maxBytes, name, signal }: MeasureSettings,
): AsyncGenerator<Uint8Array, void, void> {
  let received = 0;
  try {
    for (;;) {
      const step = await nextChunk(iterator, name, signal);
      if (step.done === true) break;
      if (!(step.value instanceof Uint8Array)) {
        throw new ImageError("IMAGE_INVALID_ARGUMENT", `${name} gives something that is not bytes`);
      }
      received += step.value.length;
      if (received > (sizeBytes ?? Infinity)) {
        throw new ImageError(
          "IMAGE_SOURCE_INVALID",
          `${name} has more than the announced ${sizeBytes} bytes`,
        );
      }
      if (received > maxBytes) throw tooLarge(name, maxBytes);
      yield step.value;
    }
  } finally {
    await end();
  }
  if (sizeBytes !== undefined && received < sizeBytes) {
    throw truncated(name, `after ${received} of ${sizeBytes} bytes`);
  }
}

/** The next chunk, or the signal's reason as soon as there is one. */
async function nextChunk(
  iterator: AsyncIterator<Uint8Array>,
  name: string,
  signal: AbortSignal | undefined,
): Promise<IteratorResult<Uint8Array>> {
  signal?.throwIfAborted();
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const onAbort = (): void => reject(signal?.reason);
  signal?.addEventListener("abort", onAbort, { once: true });
  try {
    const next = iterator.next();
    next.catch(() => {});
    return await Promise.race([next, aborted]);
  } catch (error) {
    signal?.throwIfAborted();
    throw isImageError(error) ? error : truncated(name, "with an error", error);
  } finally {
    signal?.removeEventListener("abort", onAbort);
  }
}

function truncated(name: string, how: string, cause?: unknown): ImageError {
  return new ImageError("IMAGE_SOURCE_TRUNCATED", `${name} ended ${how}`, { cause });
}

function tooLarge(name: string, maxBytes: number): ImageError {
  return new ImageError("IMAGE_TOO_LARGE", `${name} has more than the allowed ${maxBytes} bytes`);
}
