import { encodeFrame, messageStatus, messageType, type Frame } from "./frame.ts";
import { keepalivePing, keepalivePong, keepaliveProgram } from "./programs.ts";
import { RpcError } from "./rpc-error.ts";

/** How a connection watches over its peer. */
export interface KeepaliveOptions {
  /** Silence in milliseconds after which a ping is sent; default 5000. */
  readonly intervalMs?: number;
  /** Pings without any sign of life until the peer counts as dead; default 5. */
  readonly count?: number;
}

interface KeepaliveHooks {
  send(frame: Buffer): void;
  /** While true, silence is this side's own doing and not counted. */
  isPaused(): boolean;
  onDead(reason: RpcError): void;
}

const ping = keepaliveFrame(keepalivePing);
const pong = keepaliveFrame(keepalivePong);

/** Answers the peer's pings and sends own ones while the connection is idle (src/rpc/keepalive). */
export class Keepalive {
  readonly #hooks: KeepaliveHooks;
  #timer: NodeJS.Timeout | undefined;
  #active = false;
  #unanswered = 0;

  constructor(hooks: KeepaliveHooks) {
    this.#hooks = hooks;
  }

  /** Starts to ping; without it only the peer's pings are answered. */
  start({ intervalMs = 5000, count = 5 }: KeepaliveOptions): void {
    this.#timer = setInterval(() => this.#tick(intervalMs, count), intervalMs);
    this.#timer.unref();
  }

  /** Stops to ping. */
  stop(): void {
    clearInterval(this.#timer);
  }

  /** Notes that the peer lives. */
  noteActivity(): void {
    this.#active = true;
  }

  /** Handles a frame of the keepalive program. */
  receive(frame: Frame): void {
    if (frame.procedure === keepalivePing) this.#hooks.send(pong);
  }

  #tick(intervalMs: number, count: number): void {
    if (this.#active || this.#hooks.isPaused()) {
      this.#active = false;
      this.#unanswered = 0;
      return;
    }
    if (this.#unanswered >= count) {
      const silentMs = intervalMs * (count + 1);
      return this.#hooks.onDead(
        new RpcError(
          "RPC_CONNECTION_LOST",
          `The libvirt daemon did not answer ${count} pings within ${silentMs} ms.`,
        ),
      );
    }
    this.#unanswered += 1;
    this.#hooks.send(ping);
  }
}

function keepaliveFrame(procedure: number): Buffer {
  return encodeFrame({
    program: keepaliveProgram,
    procedure,
    type: messageType.message,
    serial: 0,
    status: messageStatus.ok,
  });
}
