import { Worker } from "node:worker_threads";
import { ImageError } from "../image-error.ts";
import { unpackFailure } from "../worker/worker-messages.ts";
import type { XzBlock } from "./xz-block.ts";
import type { XzRequest, XzResponse } from "./xz-messages.ts";

/** The content of a block, of which a thread decodes some pieces ahead. */
export interface XzBlockContent {
  /** The next piece, `undefined` at the end. @throws ImageError `IMAGE_CORRUPT`, `IMAGE_IO`. */
  take(): Promise<Uint8Array | undefined>;
}

interface CurrentBlock {
  readonly number: number;
  readonly onDone: () => void;
  readonly pieces: Uint8Array<ArrayBuffer>[];
  isDone: boolean;
  failure: { readonly error: unknown } | undefined;
  /** Called when there is something to take. */
  wake: () => void;
}

/** A thread that decodes one block after the other. */
export class XzThread implements AsyncDisposable {
  readonly #worker: Worker;
  readonly #fd: number;
  #current: CurrentBlock | undefined;

  constructor(fd: number) {
    this.#fd = fd;
    const extension = import.meta.url.endsWith(".ts") ? "ts" : "js";
    const script = new URL(`./xz-worker.${extension}`, import.meta.url);
    // Flags of the process, such as --input-type, need not be meant for another script.
    this.#worker = new Worker(script, { execArgv: [] });
    this.#worker.on("message", (response: XzResponse) => this.#accept(response));
    this.#worker.on("error", (cause) => this.#end(cause));
    this.#worker.on("exit", () => this.#end(undefined));
  }

  /**
   * Starts to decode a block, with at most `maxAhead` pieces that were not taken. `onDone` is called
   * when the thread is free for another one, which it never is after a failure.
   */
  start(number: number, block: XzBlock, maxAhead: number, onDone: () => void): XzBlockContent {
    const current: CurrentBlock = {
      number,
      onDone,
      pieces: [],
      isDone: false,
      failure: undefined,
      wake: () => {},
    };
    this.#current = current;
    const ask = (more?: Pick<XzRequest, "block">): void => {
      const request: XzRequest = { number, fd: this.#fd, ...more };
      this.#worker.postMessage(request);
    };
    ask({ block });
    for (let asked = 1; asked < maxAhead; asked += 1) ask();
    return {
      take: async () => {
        for (;;) {
          const piece = current.pieces.shift();
          if (piece !== undefined) {
            if (!current.isDone) ask();
            return piece;
          }
          if (current.failure !== undefined) throw current.failure.error;
          if (current.isDone) return undefined;
          await new Promise<void>((resolve) => {
            current.wake = resolve;
          });
        }
      },
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#worker.terminate();
  }

  #accept(response: XzResponse): void {
    const current = this.#current;
    // Requests for a block may still be answered when it has ended.
    if (current === undefined || current.number !== response.number) return;
    if ("bytes" in response) {
      current.pieces.push(response.bytes);
    } else {
      this.#current = undefined;
      if ("failure" in response) current.failure = { error: unpackFailure(response.failure) };
      else current.isDone = true;
    }
    current.wake();
    if (current.isDone) current.onDone();
  }

  #end(cause: unknown): void {
    const current = this.#current;
    this.#current = undefined;
    if (current === undefined) return;
    const message = "a thread that decodes xz ended unexpectedly";
    current.failure = { error: new ImageError("IMAGE_IO", message, { cause }) };
    current.wake();
  }
}
