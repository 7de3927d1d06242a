import type { ByteStream } from "@polyvisor/core";
import { isRpcError } from "../rpc/rpc-error.ts";

/** Milliseconds between looks for a guest whose console has ended. */
const LOOK_PAUSE = 250;
/** Looks without the guest running anywhere, after which its console has ended for good. */
const LOOKS = 20;

/** A console, and the host on which it is open. */
export interface OpenedConsole {
  readonly host: string;
  readonly stream: ByteStream;
}

/** Opens the console where the guest runs; `undefined` when it runs nowhere, or on the host that is left out. */
export type ReopenConsole = (except?: string) => Promise<OpenedConsole | undefined>;

/**
 * A serial console that is opened anew where its guest goes on: after a migration, and after a lost connection. One that
 * somebody else has taken over has ended.
 */
export class SerialStream implements ByteStream {
  #current: OpenedConsole;
  readonly #reopen: ReopenConsole;
  readonly #signal: AbortSignal;
  readonly #ending = new AbortController();

  constructor(first: OpenedConsole, reopen: ReopenConsole, signal: AbortSignal) {
    this.#current = first;
    this.#reopen = reopen;
    this.#signal = signal;
  }

  write(bytes: Uint8Array): Promise<void> {
    return this.#current.stream.write(bytes);
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array, void> {
    for (;;) {
      let failure: unknown;
      try {
        yield* this.#current.stream;
      } catch (error) {
        failure = error;
      }
      this.#signal.throwIfAborted();
      if (this.#ending.signal.aborted) return;
      await this.#current.stream[Symbol.asyncDispose]();
      const next = await this.#find(isRpcError(failure));
      if (next === undefined) {
        if (failure !== undefined) throw failure;
        return;
      }
      this.#current = next;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ending.abort();
    await this.#current.stream[Symbol.asyncDispose]();
  }

  /**
   * The console where the guest runs now. At the end of a migration it runs nowhere for a moment. On the same host it is
   * opened again only after the connection was lost: else it was taken over.
   */
  async #find(isLost: boolean): Promise<OpenedConsole | undefined> {
    const isOver = (): boolean => this.#ending.signal.aborted;
    for (let look = 0; look < LOOKS && !isOver(); look += 1) {
      await new Promise((resolve) => setTimeout(resolve, LOOK_PAUSE));
      const found = await this.#reopen(isLost ? undefined : this.#current.host).catch(
        () => undefined,
      );
      this.#signal.throwIfAborted();
      if (found && isOver()) await found.stream[Symbol.asyncDispose]();
      else if (found) return found;
    }
    return undefined;
  }
}
