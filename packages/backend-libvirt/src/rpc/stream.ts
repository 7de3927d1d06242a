import { AsyncQueue } from "./async-queue.ts";
import type { FrameChannel } from "./frame-channel.ts";
import { encodeFrame, encodeRawFrame, messageStatus, messageType, type Frame } from "./frame.ts";
import { readLibvirtError } from "./libvirt-error.ts";
import type { Procedure } from "./procedures.ts";
import { abortedError, RpcError } from "./rpc-error.ts";
import { XdrReader, type Integer64 } from "./xdr-reader.ts";

/** A piece of a stream: bytes, or a run of `length` bytes that are zero and were not sent. */
export type StreamItem =
  | { readonly type: "data"; readonly bytes: Uint8Array }
  | { readonly type: "hole"; readonly length: Integer64 };

/** Longest run of bytes in one stream message (VIR_NET_MESSAGE_LEGACY_PAYLOAD_MAX). */
export const maxStreamChunkBytes = 262_120;

const pauseAboveBytes = 8_388_608;
const resumeBelowBytes = 2_097_152;
// A message costs memory whatever it carries, so tiny messages and holes count as this many bytes.
const leastItemCost = 64;

/** What a stream needs from its connection. */
export interface RpcStreamOptions {
  readonly procedure: Procedure<unknown, unknown>;
  readonly serial: number;
  readonly channel: FrameChannel;
  /** Whether a slow consumer may stop the reading of the whole connection. */
  readonly pauseConnection: boolean;
  readonly signal: AbortSignal | undefined;
  /** Called once, when no more packets belong to the stream. */
  readonly onClosed: (serial: number) => void;
}

/**
 * The stream that a call opened, in both directions (libvirt docs, "Internals: RPC", streams).
 *
 * Iterating yields what the daemon sends until its end of data and throws a `LibvirtError` when
 * the daemon fails the stream, or an `RpcError` when the stream is aborted or the connection ends.
 * A consumer that is slower than the daemon holds back the connection if that is dedicated to the
 * stream; on a shared connection the stream fails with `RPC_STREAM_OVERFLOW` after 8 MiB.
 */
export class RpcStream implements AsyncIterable<StreamItem>, AsyncDisposable {
  readonly #options: RpcStreamOptions;
  readonly #received = new AsyncQueue<StreamItem>();
  readonly #finished = Promise.withResolvers<void>();
  readonly #interrupts = new Set<(reason: unknown) => void>();
  #bufferedBytes = 0;
  #closed = false;
  #failure: unknown;
  readonly #onAbort = (): void => {
    this.abort(abortedError("The stream", this.#options.signal!));
  };

  constructor(options: RpcStreamOptions) {
    this.#options = options;
    this.#finished.promise.catch(() => {});
    options.signal?.addEventListener("abort", this.#onAbort, { once: true });
    if (options.signal?.aborted === true) this.#onAbort();
  }

  /** Whether no more packets belong to the stream. */
  get closed(): boolean {
    return this.#closed;
  }

  /** Sends bytes in chunks of at most 262 120 and waits while the socket's buffer is full. */
  async send(bytes: Uint8Array): Promise<void> {
    for (let offset = 0; offset < bytes.length; offset += maxStreamChunkBytes) {
      this.#throwIfClosed();
      const chunk = bytes.subarray(offset, offset + maxStreamChunkBytes);
      const { channel } = this.#options;
      const header = this.#header(messageType.stream, messageStatus.continue);
      channel.send(encodeRawFrame(header, chunk));
      // The daemon is to find the next chunk there when it is done with one.
      if (channel.congested) await this.interruptible(channel.drained());
    }
  }

  /** Sends a hole; only for a stream that was opened with the sparse flag. */
  async sendHole(length: Integer64): Promise<void> {
    this.#throwIfClosed();
    const { channel } = this.#options;
    const frame = encodeFrame(
      this.#header(messageType.streamHole, messageStatus.continue),
      (writer) => {
        writer.writeHyper(length);
        writer.writeUnsignedInt(0);
      },
    );
    if (!channel.send(frame)) await this.interruptible(channel.drained());
  }

  /** Tells the daemon that this side is done and waits for its confirmation. */
  async finish(): Promise<void> {
    if (!this.#closed) {
      this.#options.channel.send(encodeFrame(this.#header(messageType.stream, messageStatus.ok)));
    }
    await this.#finished.promise;
  }

  /** Ends the stream on both sides at once; later packets of the daemon are dropped. */
  abort(reason: RpcError = closedError()): void {
    if (this.#closed) return;
    this.#options.channel.send(encodeFrame(this.#header(messageType.stream, messageStatus.error)));
    this.fail(reason);
  }

  /** The result of `promise`, or the stream's failure if that comes first. */
  interruptible<Value>(promise: Promise<Value>): Promise<Value> {
    return new Promise((resolve, reject) => {
      if (this.#failure !== undefined) {
        promise.catch(() => {});
        return reject(this.#failure);
      }
      this.#interrupts.add(reject);
      promise.then(resolve, reject).finally(() => this.#interrupts.delete(reject));
    });
  }

  /** Takes a packet of the stream. @internal */
  receive(frame: Frame): void {
    if (frame.status === messageStatus.error) {
      return this.fail(readLibvirtError(frame.payload, this.#options.procedure.name));
    }
    if (frame.type === messageType.streamHole) return this.#receiveHole(frame);
    if (frame.status === messageStatus.ok) return this.#confirm();
    if (frame.status !== messageStatus.continue) {
      throw new RpcError("RPC_PROTOCOL", `A stream packet has the status ${frame.status}.`);
    }
    if (frame.payload.length === 0) return this.#received.end();
    this.#buffer({ type: "data", bytes: frame.payload });
  }

  /** Ends the stream with a failure. @internal */
  fail(reason: unknown): void {
    if (this.#closed) return;
    this.#failure = reason;
    this.#close();
    this.#received.end(reason);
    this.#finished.reject(reason);
    for (const interrupt of this.#interrupts) interrupt(reason);
    this.#interrupts.clear();
  }

  [Symbol.asyncIterator](): AsyncIterator<StreamItem, undefined> {
    return {
      next: async () => {
        const result = await this.#received.next();
        if (result.done !== true) this.#release(result.value);
        return result;
      },
      return: async () => {
        await this[Symbol.asyncDispose]();
        return { done: true, value: undefined };
      },
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.abort();
  }

  #header(type: number, status: number) {
    const { procedure, serial } = this.#options;
    return { program: procedure.program, procedure: procedure.number, type, serial, status };
  }

  #receiveHole(frame: Frame): void {
    const length = new XdrReader(frame.payload).readHyper();
    if (length < 0)
      throw new RpcError("RPC_PROTOCOL", "The daemon sent a hole of negative length.");
    this.#buffer({ type: "hole", length });
  }

  #buffer(item: StreamItem): void {
    this.#received.push(item);
    this.#bufferedBytes += cost(item);
    if (this.#bufferedBytes <= pauseAboveBytes) return;
    if (this.#options.pauseConnection) return this.#options.channel.pause(this);
    this.abort(
      new RpcError(
        "RPC_STREAM_OVERFLOW",
        "The consumer of a libvirt stream is too slow for a shared connection; give the stream " +
          "a dedicated one.",
      ),
    );
  }

  #release(item: StreamItem): void {
    this.#bufferedBytes -= cost(item);
    if (this.#bufferedBytes < resumeBelowBytes) this.#options.channel.resume(this);
  }

  #confirm(): void {
    this.#failure = closedError();
    this.#close();
    this.#received.end();
    this.#finished.resolve();
    for (const interrupt of this.#interrupts) interrupt(this.#failure);
    this.#interrupts.clear();
  }

  #close(): void {
    this.#closed = true;
    this.#options.signal?.removeEventListener("abort", this.#onAbort);
    this.#options.channel.resume(this);
    this.#options.onClosed(this.#options.serial);
  }

  #throwIfClosed(): void {
    if (this.#closed) throw this.#failure;
  }
}

function cost(item: StreamItem): number {
  return item.type === "data" ? Math.max(item.bytes.length, leastItemCost) : leastItemCost;
}

function closedError(): RpcError {
  return new RpcError("RPC_CLOSED", "The libvirt stream is closed.");
}
