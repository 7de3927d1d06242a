import type { Duplex } from "node:stream";

import { FrameDecoder, type Frame } from "./frame.ts";
import { isRpcError, RpcError } from "./rpc-error.ts";

/** What a {@link FrameChannel} tells its owner; it never waits for any of them. */
export interface FrameChannelEvents {
  /** Bytes arrived, whatever they are. */
  onActivity(): void;
  onFrame(frame: Frame): void;
  /** The byte stream is over; called once. */
  onEnd(reason: RpcError): void;
}

const congestedBytes = 1_048_576;

/** Frames over a byte stream, with explicit back-pressure in both directions. */
export class FrameChannel {
  readonly #stream: Duplex;
  readonly #decoder = new FrameDecoder();
  readonly #events: FrameChannelEvents;
  readonly #pauseHolders = new Set<object>();
  #drain: PromiseWithResolvers<void> | undefined;
  #ended = false;

  constructor(stream: Duplex, events: FrameChannelEvents) {
    this.#stream = stream;
    this.#events = events;
    stream.on("data", (chunk: Buffer) => this.#receive(chunk));
    stream.on("drain", () => this.#releaseWriters());
    // A transport that knows better what happened says it in an error of its own.
    stream.on("error", (error) =>
      isRpcError(error) ? this.end(error) : this.#lost(`failed: ${error.message}`, error),
    );
    stream.on("end", () => this.#lost("was closed by the daemon"));
    stream.on("close", () => this.#lost("was closed"));
  }

  /** Whether somebody holds the reading side back. */
  get paused(): boolean {
    return this.#pauseHolders.size > 0;
  }

  /** Whether the peer is far behind with reading. */
  get congested(): boolean {
    return this.#stream.writableLength > congestedBytes;
  }

  /** Sends a frame; false when the caller should await {@link FrameChannel.drained} first. */
  send(frame: Buffer): boolean {
    if (this.#ended) return true;
    return this.#stream.write(frame);
  }

  /** Resolves when the write buffer has room or the channel has ended. */
  drained(): Promise<void> {
    if (this.#ended || !this.#stream.writableNeedDrain) return Promise.resolve();
    this.#drain ??= Promise.withResolvers();
    return this.#drain.promise;
  }

  /** Stops reading the socket until every holder has let go. */
  pause(holder: object): void {
    this.#pauseHolders.add(holder);
    this.#stream.pause();
  }

  /** Lets go of the reading side. */
  resume(holder: object): void {
    if (this.#pauseHolders.delete(holder) && !this.paused && !this.#ended) this.#stream.resume();
  }

  /** Ends the channel: reports `reason` once and destroys the byte stream. */
  end(reason: RpcError): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#stream.destroy();
    this.#releaseWriters();
    this.#events.onEnd(reason);
  }

  #receive(chunk: Buffer): void {
    if (this.#ended) return;
    this.#events.onActivity();
    try {
      this.#decoder.push(chunk, (frame) => {
        if (!this.#ended) this.#events.onFrame(frame);
      });
    } catch (error) {
      this.end(
        isRpcError(error)
          ? error
          : new RpcError("RPC_PROTOCOL", "A message could not be handled.", { cause: error }),
      );
    }
  }

  #lost(how: string, cause?: Error): void {
    this.end(new RpcError("RPC_CONNECTION_LOST", `The libvirt connection ${how}.`, { cause }));
  }

  #releaseWriters(): void {
    this.#drain?.resolve();
    this.#drain = undefined;
  }
}
