import type { ByteStream } from "@polyvisor/core";

/** Longest piece of a line that is kept until its end comes, in characters. */
const LONGEST_LINE = 4096;

/** Follows the numbers that the guest prints, and shows its other output. */
export class ConsoleWatch {
  readonly #waiting = new Set<() => void>();
  #last = 0;
  #missing = 0;

  /** The last number, and how many before it were not seen. */
  get ticks(): { readonly last: number; readonly missing: number } {
    return { last: this.#last, missing: this.#missing };
  }

  /** Reads until the console ends. */
  async follow(console: ByteStream, show: (line: string) => void): Promise<void> {
    const decoder = new TextDecoder();
    let text = "";
    for await (const bytes of console) {
      text = (text + decoder.decode(bytes, { stream: true })).slice(-LONGEST_LINE);
      const lines = text.split(/\r?\n/);
      text = lines.pop() ?? "";
      for (const line of lines) this.#read(line, show);
    }
  }

  /** Resolves when the guest has printed `count` more numbers. */
  async more(count: number, signal: AbortSignal): Promise<void> {
    const wanted = this.#last + count;
    while (this.#last < wanted) {
      signal.throwIfAborted();
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#waiting.add(resolve);
      signal.addEventListener("abort", () => resolve(), { once: true });
      await promise;
      this.#waiting.delete(resolve);
    }
  }

  #read(line: string, show: (line: string) => void): void {
    show(line);
    const number = Number(/tick (\d+)/.exec(line)?.[1]);
    if (Number.isNaN(number)) return;
    if (this.#last > 0 && number > this.#last + 1) this.#missing += number - this.#last - 1;
    this.#last = Math.max(this.#last, number);
    for (const wake of this.#waiting) wake();
  }
}
