import { xzWindowBytes } from "./decode-xz-block.ts";
import type { XzBlock } from "./xz-block.ts";
import { XzThread, type XzBlockContent } from "./xz-thread.ts";

// Together they leave room for everything else in 300 MB.
const MAX_AHEAD_PIECES = 32;
const MAX_WINDOWS_BYTES = 96 * 1024 * 1024;

/** What {@link decodeXzBlocks} decodes. */
export interface DecodeXzBlocksInput {
  /** The open file. */
  readonly fd: number;
  readonly blocks: readonly XzBlock[];
  /** The most threads to use. */
  readonly threads: number;
  /** Told how much of the file stands for what is yielded next. */
  readonly onStored: (bytes: number) => void;
}

/**
 * Decodes the blocks of an xz file in threads, several at a time, and yields their content in order.
 * What a later block gives before it is its turn is kept, up to 32 MiB; then its thread waits.
 *
 * @throws ImageError `IMAGE_CORRUPT`, `IMAGE_IO`.
 */
export async function* decodeXzBlocks({
  fd,
  blocks,
  threads,
  onStored,
}: DecodeXzBlocksInput): AsyncGenerator<Uint8Array, void, void> {
  const windowBytes = Math.max(1, ...blocks.map(xzWindowBytes));
  const count = Math.max(
    1,
    Math.min(threads, blocks.length, Math.floor(MAX_WINDOWS_BYTES / windowBytes)),
  );
  const maxAhead = Math.floor(MAX_AHEAD_PIECES / (count + 1));
  const all: XzThread[] = [];
  const idle: XzThread[] = [];
  const started: { readonly block: XzBlock; readonly content: XzBlockContent }[] = [];
  let next = 0;

  function startBlocks(): void {
    // One more than threads, so that none waits while the first block is being taken.
    while (started.length <= count) {
      const block = blocks[next];
      const thread = idle.pop();
      if (block === undefined || thread === undefined) {
        if (thread !== undefined) idle.push(thread);
        return;
      }
      const onDone = (): void => {
        idle.push(thread);
        startBlocks();
      };
      started.push({ block, content: thread.start(next, block, maxAhead, onDone) });
      next += 1;
    }
  }

  try {
    for (let index = 0; index < count; index += 1) {
      const thread = new XzThread(fd);
      all.push(thread);
      idle.unshift(thread);
    }
    startBlocks();
    for (;;) {
      const [first] = started;
      if (first === undefined) return;
      const { block, content } = first;
      const piece = await content.take();
      if (piece !== undefined) {
        onStored((block.dataBytes * piece.length) / block.contentBytes);
        yield piece;
        continue;
      }
      started.shift();
      startBlocks();
    }
  } finally {
    await Promise.all(all.map((thread) => thread[Symbol.asyncDispose]()));
  }
}
