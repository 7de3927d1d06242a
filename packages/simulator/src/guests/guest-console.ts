import { BoundedChannel, type ByteStream, PolyvisorError } from "@polyvisor/core";

/** Somebody who has a guest's serial console open. */
export class GuestConsole implements ByteStream {
  readonly #output = new BoundedChannel<Uint8Array>({
    capacity: 10_000,
    onOverflow: () =>
      new PolyvisorError("POLYVISOR_EXHAUSTED", "nobody reads the console: what it showed is lost"),
  });
  readonly #onInput: (bytes: Uint8Array) => void;
  readonly #onClose: () => void;

  constructor(onInput: (bytes: Uint8Array) => void, onClose: () => void) {
    this.#onInput = onInput;
    this.#onClose = onClose;
  }

  print(text: string): void {
    this.#output.push(Buffer.from(text));
  }

  end(): void {
    this.#output.end();
  }

  async write(bytes: Uint8Array): Promise<void> {
    this.#onInput(bytes);
  }

  [Symbol.asyncIterator](): AsyncIterator<Uint8Array> {
    return this.#output;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.end();
    this.#onClose();
  }
}
