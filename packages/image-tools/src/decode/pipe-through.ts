import { pipeline, Readable, type Duplex } from "node:stream";
import { isImageError } from "../image-error.ts";

/**
 * Sends `source` through `transforms` and yields what comes out of the last. Errors of the source
 * are thrown as they are, those of the transforms after `translate`.
 */
export async function* pipeThrough(
  source: AsyncIterable<Uint8Array>,
  transforms: readonly [...Duplex[], Duplex],
  translate: (error: unknown) => unknown,
): AsyncGenerator<Uint8Array, void, void> {
  const last = transforms.at(-1) as Duplex;
  let sourceFailure: { readonly error: unknown } | undefined;

  // Not `yield*`: the error of a transform is thrown into it as well.
  async function* watched(): AsyncGenerator<Uint8Array, void, void> {
    const iterator = source[Symbol.asyncIterator]();
    try {
      for (;;) {
        const step = await iterator.next().catch((error: unknown) => {
          sourceFailure = { error };
          throw error;
        });
        if (step.done === true) return;
        yield step.value;
      }
    } finally {
      await iterator.return?.();
    }
  }

  const finished = new Promise<void>((resolve) => {
    // The error reaches the reader of `last`, which pipeline destroys with it.
    pipeline([Readable.from(watched()), ...transforms], () => resolve());
  });
  try {
    yield* last as AsyncIterable<Uint8Array>;
  } catch (error) {
    if (sourceFailure !== undefined) throw sourceFailure.error;
    throw isImageError(error) ? error : translate(error);
  } finally {
    last.destroy();
    await finished;
  }
}
