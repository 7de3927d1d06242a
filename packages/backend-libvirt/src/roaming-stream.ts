import type { ByteStream } from "@polyvisor/core";

/**
 * A stream that goes on where its guest went: when it ends, `reopen` gives the next one, or `undefined` when there is no
 * more. What is written meanwhile waits.
 */
export function roamingStream(
  first: ByteStream,
  reopen: () => Promise<ByteStream | undefined>,
): ByteStream {
  let current = first;
  let isClosed = false;
  let moving: Promise<boolean> | undefined;
  const move = async (): Promise<boolean> => {
    await current[Symbol.asyncDispose]();
    const next = isClosed ? undefined : await reopen();
    if (next === undefined) return false;
    current = next;
    if (isClosed) await next[Symbol.asyncDispose]();
    return !isClosed;
  };
  const moveOnce = (from: ByteStream): Promise<boolean> => {
    if (from !== current) return Promise.resolve(!isClosed);
    moving ??= move().finally(() => {
      moving = undefined;
    });
    return moving;
  };
  return {
    async write(bytes) {
      await moving;
      const from = current;
      try {
        await from.write(bytes);
      } catch (error) {
        if (isClosed || !(await moveOnce(from))) throw error;
        await current.write(bytes);
      }
    },
    async *[Symbol.asyncIterator]() {
      while (!isClosed) {
        const from = current;
        yield* from;
        if (!(await moveOnce(from))) return;
      }
    },
    async [Symbol.asyncDispose]() {
      isClosed = true;
      await current[Symbol.asyncDispose]();
    },
  };
}
