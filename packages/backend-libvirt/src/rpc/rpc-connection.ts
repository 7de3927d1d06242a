import type { Duplex } from "node:stream";

import {
  CallQueue,
  type CallOptions,
  type ConnectionLoad,
  type InternalCallOptions,
} from "./call-queue.ts";
import type { LibvirtConnection } from "./connection.ts";
import type { EventDefinition } from "./event-definitions.ts";
import { EventRouter, type SubscribeOptions } from "./event-router.ts";
import type { EventSubscription } from "./event-subscription.ts";
import { FrameChannel } from "./frame-channel.ts";
import { messageStatus, messageType, type Frame } from "./frame.ts";
import { Keepalive, type KeepaliveOptions } from "./keepalive.ts";
import type { RpcLogger } from "./logger.ts";
import { procedures, type Procedure } from "./procedures.ts";
import { keepaliveProgram } from "./programs.ts";
import { RpcError } from "./rpc-error.ts";
import { RpcStream } from "./stream.ts";

interface RpcConnectionOptions {
  readonly maxInFlight: number;
  readonly maxQueued: number;
  readonly defaultDeadlineMs: number;
  readonly pauseForStreams: boolean;
  readonly logger: RpcLogger;
}

const mostEarlyBytes = 8_388_608;
const mostEarlyFrames = 1024;
const goodbyeDeadlineMs = 2000;

/** The connection behind {@link LibvirtConnection}: hands each frame to whom it belongs. */
export class RpcConnection implements LibvirtConnection {
  readonly #options: RpcConnectionOptions;
  readonly #channel: FrameChannel;
  readonly #calls: CallQueue;
  readonly #events: EventRouter;
  readonly #keepalive: Keepalive;
  readonly #streams = new Map<number, RpcStream>();
  /** Packets of streams whose calls are not answered yet, by serial. */
  readonly #early = new Map<number, Frame[]>();
  #earlyBytes = 0;
  readonly #ended = Promise.withResolvers<RpcError>();
  #endReason: RpcError | undefined;
  #closing: Promise<void> | undefined;

  constructor(stream: Duplex, options: RpcConnectionOptions) {
    this.#options = options;
    this.#channel = new FrameChannel(stream, {
      onActivity: () => this.#keepalive.noteActivity(),
      onFrame: (frame) => this.#dispatch(frame),
      onEnd: (reason) => this.#onEnd(reason),
    });
    this.#keepalive = new Keepalive({
      // A peer that pings without reading must not make this side hoard its answers.
      send: (frame) => this.#channel.congested || this.#channel.send(frame),
      isPaused: () => this.#channel.paused,
      onDead: (reason) => this.end(reason),
    });
    this.#calls = new CallQueue({ ...options, send: (frame) => this.#channel.send(frame) });
    this.#events = new EventRouter({
      call: (procedure, args, callOptions) => this.#calls.call(procedure, args, callOptions),
      logger: options.logger,
    });
  }

  get load(): ConnectionLoad {
    return this.#calls.load;
  }

  get endReason(): RpcError | undefined {
    return this.#endReason;
  }

  get ended(): Promise<RpcError> {
    return this.#ended.promise;
  }

  /** Starts to watch over the peer. */
  startKeepalive(options: KeepaliveOptions): void {
    if (this.#endReason === undefined) this.#keepalive.start(options);
  }

  call<Arguments, Result>(
    procedure: Procedure<Arguments, Result>,
    args: NoInfer<Arguments>,
    options: CallOptions = {},
  ): Promise<Result> {
    return this.#calls.call(procedure, args, options);
  }

  async openStream<Arguments, Result>(
    procedure: Procedure<Arguments, Result>,
    args: NoInfer<Arguments>,
    options: CallOptions = {},
  ): Promise<RpcStream> {
    let opened: RpcStream | undefined;
    const internal: InternalCallOptions<Result> = {
      ...options,
      onReply: (_result, serial, abandoned) => {
        const stream = this.#createStream(procedure, serial, options.signal);
        if (abandoned) stream.abort();
        else opened = stream;
      },
    };
    await this.#calls.call(procedure, args, internal);
    return opened!;
  }

  subscribe<Payload, Subject>(
    event: EventDefinition<Payload, Subject>,
    options: SubscribeOptions<NoInfer<Subject>> = {},
  ): Promise<EventSubscription<Payload>> {
    return this.#events.subscribe(event, options);
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** Ends the connection at once with the given reason. */
  end(reason: RpcError): void {
    this.#channel.end(reason);
  }

  async #close(): Promise<void> {
    if (this.#endReason !== undefined) return;
    if (this.load.inFlight === 0 && !this.#channel.paused) {
      // The daemon drops the client anyway; without the goodbye it only logs an unclean end.
      await this.call(procedures.connectClose, {}, { deadlineMs: goodbyeDeadlineMs }).catch(
        () => {},
      );
    }
    this.end(new RpcError("RPC_CLOSED", "The libvirt connection was closed by its user."));
  }

  #createStream(
    procedure: Procedure<unknown, unknown>,
    serial: number,
    signal: AbortSignal | undefined,
  ): RpcStream {
    const stream = new RpcStream({
      procedure,
      serial,
      signal,
      channel: this.#channel,
      pauseConnection: this.#options.pauseForStreams,
      onClosed: (closed) => this.#streams.delete(closed),
    });
    if (!stream.closed) this.#streams.set(serial, stream);
    for (const frame of this.#takeEarly(serial)) if (!stream.closed) stream.receive(frame);
    return stream;
  }

  #dispatch(frame: Frame): void {
    if (frame.program === keepaliveProgram) return this.#keepalive.receive(frame);
    switch (frame.type) {
      case messageType.reply:
      case messageType.replyWithFds:
        return this.#dispatchReply(frame);
      case messageType.message:
        return this.#events.dispatch(frame);
      case messageType.stream:
      case messageType.streamHole:
        return this.#dispatchStream(frame);
      default:
        throw new RpcError("RPC_PROTOCOL", `The daemon sent a message of type ${frame.type}.`);
    }
  }

  // A worker of the daemon answers the call that opens a stream while another thread sends on the stream already.
  #dispatchStream(frame: Frame): void {
    const stream = this.#streams.get(frame.serial);
    if (stream) return stream.receive(frame);
    if (!this.#calls.isInFlight(frame.serial)) return;
    this.#earlyBytes += frame.payload.length;
    const frames = this.#early.get(frame.serial) ?? [];
    if (this.#earlyBytes > mostEarlyBytes || frames.length >= mostEarlyFrames) {
      throw new RpcError(
        "RPC_PROTOCOL",
        "The daemon sent too much of a stream before it answered the call that opened it.",
      );
    }
    this.#early.set(frame.serial, [...frames, frame]);
  }

  #takeEarly(serial: number): readonly Frame[] {
    const frames = this.#early.get(serial) ?? [];
    this.#early.delete(serial);
    for (const { payload } of frames) this.#earlyBytes -= payload.length;
    return frames;
  }

  #dispatchReply(frame: Frame): void {
    const isAnswer = this.#calls.receive(frame);
    this.#takeEarly(frame.serial);
    if (isAnswer) return;
    // The daemon reports some stream errors as a second reply to the call that opened it.
    const stream = this.#streams.get(frame.serial);
    if (stream !== undefined && frame.status === messageStatus.error) return stream.receive(frame);
    this.#options.logger.debug(`Ignored a late reply with the serial ${frame.serial}.`);
  }

  #onEnd(reason: RpcError): void {
    this.#endReason = reason;
    this.#keepalive.stop();
    this.#calls.end(reason);
    for (const stream of this.#streams.values()) stream.fail(reason);
    this.#events.end(reason);
    if (reason.code !== "RPC_CLOSED") this.#options.logger.warn(reason.message);
    this.#ended.resolve(reason);
  }
}
