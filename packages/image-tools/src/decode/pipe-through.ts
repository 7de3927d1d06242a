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

  async function* watched(): AsyncGenerator<Uint8Array, void, void> {
    try {
      yield* source;
    } catch (error) {
      sourceFailure = { error };
      throw error;
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
