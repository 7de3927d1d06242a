import type { RandomAccessReader } from "../io/random-access-reader.ts";

const MAX_KEPT_BYTES = 32 * 1024 * 1024;
const MAX_GAP_BYTES = 16 * 1024 * 1024;
const STEP_BYTES = 1024 * 1024;

interface Kept {
  readonly offset: number;
  readonly bytes: Buffer;
}

/**
 * Takes the digest of a file while it is read at random: what is read in order goes into it at once,
 * what comes early is kept for a while, and only what nobody read, or what came too early, is read for
 * the digest itself.
 */
export class DigestInPassing {
  /** Reads the same file; disposing it disposes the reader that was given. */
  readonly reader: RandomAccessReader;
  readonly #file: RandomAccessReader;
  readonly #update: (bytes: Uint8Array) => void;
  /** What was read already and begins behind the position, in order. */
  readonly #kept: Kept[] = [];
  #keptBytes = 0;
  #position = 0;
  #filling: Promise<void> | undefined;

  constructor(file: RandomAccessReader, update: (bytes: Uint8Array) => void) {
    this.#file = file;
    this.#update = update;
    this.reader = {
      sizeBytes: file.sizeBytes,
      read: async (offset, length) => {
        const bytes = await file.read(offset, length);
        this.#note(offset, bytes);
        return bytes;
      },
      [Symbol.asyncDispose]: async () => {
        await this.#filling;
        await file[Symbol.asyncDispose]();
      },
    };
  }

  /** Reads what is still missing. */
  async finish(signal?: AbortSignal): Promise<void> {
    await this.#filling;
    while (this.#position < this.#file.sizeBytes) {
      signal?.throwIfAborted();
      await this.#readNext(this.#kept[0]?.offset ?? this.#file.sizeBytes);
    }
  }

  async #readNext(end: number): Promise<void> {
    const offset = this.#position;
    this.#note(offset, await this.#file.read(offset, Math.min(STEP_BYTES, end - offset)));
  }

  #note(offset: number, bytes: Buffer): void {
    if (offset + bytes.length <= this.#position) return;
    if (offset > this.#position) {
      // A copy, so that no larger piece of memory is kept along with it.
      this.#keep({ offset, bytes: Buffer.from(bytes) });
      return;
    }
    this.#take({ offset, bytes });
    while ((this.#kept[0]?.offset ?? Number.POSITIVE_INFINITY) <= this.#position) {
      const kept = this.#kept.shift() as Kept;
      this.#keptBytes -= kept.bytes.length;
      this.#take(kept);
    }
  }

  #take({ offset, bytes }: Kept): void {
    if (offset + bytes.length <= this.#position) return;
    this.#update(bytes.subarray(this.#position - offset));
    this.#position = offset + bytes.length;
  }

  #keep(kept: Kept): void {
    let at = this.#kept.length;
    while (at > 0 && (this.#kept[at - 1] as Kept).offset > kept.offset) at -= 1;
    this.#kept.splice(at, 0, kept);
    this.#keptBytes += kept.bytes.length;
    // What is farthest away has the longest to wait.
    while (this.#keptBytes > MAX_KEPT_BYTES) {
      this.#keptBytes -= (this.#kept.pop() as Kept).bytes.length;
    }
    // What nobody reads would hold up all that follows it.
    const gap = (this.#kept[0]?.offset ?? Number.POSITIVE_INFINITY) - this.#position;
    const isStuck = this.#keptBytes > MAX_KEPT_BYTES / 2 && gap <= MAX_GAP_BYTES;
    if (isStuck) this.#filling ??= this.#fillGap();
  }

  async #fillGap(): Promise<void> {
    try {
      const end = this.#kept[0]?.offset ?? 0;
      while (this.#position < end) await this.#readNext(end);
    } catch {
      // It is read again in the end, which says what is wrong.
    } finally {
      this.#filling = undefined;
    }
  }
}
