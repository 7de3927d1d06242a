/** A stream whose beginning has been looked at. Disposing it ends the source. */
export interface PeekedStream extends AsyncDisposable {
  /** The first bytes, at least as many as asked for unless the stream is shorter. */
  readonly head: Buffer;
  /** The whole stream, including the head. */
  readonly stream: AsyncIterable<Uint8Array>;
}

/** Reads `source` until `length` bytes are there, and gives them out again with the rest. */
export async function peekStream(
  source: AsyncIterable<Uint8Array>,
  length: number,
): Promise<PeekedStream> {
  const iterator = source[Symbol.asyncIterator]();
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  while (bytes < length) {
    const step = await iterator.next();
    if (step.done === true) break;
    chunks.push(step.value);
    bytes += step.value.length;
  }
  const head = Buffer.concat(chunks);

  async function* replay(): AsyncGenerator<Uint8Array, void, void> {
    if (head.length > 0) yield head;
    for (;;) {
      const step = await iterator.next();
      if (step.done === true) return;
      yield step.value;
    }
  }

  return {
    head,
    stream: replay(),
    [Symbol.asyncDispose]: async () => {
      await iterator.return?.();
    },
  };
}
