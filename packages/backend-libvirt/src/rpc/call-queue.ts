import { encodeFrame, messageStatus, messageType, serialOffset, type Frame } from "./frame.ts";
import { readLibvirtError } from "./libvirt-error.ts";
import type { Procedure } from "./procedures.ts";
import { programVersion } from "./programs.ts";
import { abortedError, isRpcError, RpcError } from "./rpc-error.ts";
import { XdrReader } from "./xdr-reader.ts";

/** Options of one call. */
export interface CallOptions {
  /** Gives the call up. The daemon may still carry it out. */
  readonly signal?: AbortSignal | undefined;
  /**
   * Milliseconds from now, including the time in the queue, after which the call is given up;
   * `Infinity` waits forever. Default: that of the connection.
   */
  readonly deadlineMs?: number | undefined;
}

/** How busy a connection is. */
export interface ConnectionLoad {
  /** Calls that the daemon has not answered, including the abandoned ones. */
  readonly inFlight: number;
  /** Calls that wait for a free slot. */
  readonly queued: number;
  /** Calls in flight whose caller gave up; their slots stay taken until the daemon answers. */
  readonly abandoned: number;
}

// Node.js fires a longer timer at once.
const longestTimerMs = 2_147_483_647;

/** @internal Options of {@link CallQueue.call} that streams and events need. */
export interface InternalCallOptions<Result> extends CallOptions {
  /** Called with a good reply before any later frame is handled, even when nobody waits for it. */
  readonly onReply?: (result: Result, serial: number, abandoned: boolean) => void;
}

interface PendingCall {
  readonly procedure: Procedure<unknown, unknown>;
  readonly frame: Buffer;
  readonly onReply: ((result: never, serial: number, abandoned: boolean) => void) | undefined;
  readonly resolve: (result: unknown) => void;
  readonly reject: (reason: unknown) => void;
  readonly cleanUp: () => void;
  abandoned: boolean;
}

interface CallQueueOptions {
  readonly maxInFlight: number;
  readonly maxQueued: number;
  readonly defaultDeadlineMs: number;
  readonly send: (frame: Buffer) => void;
}

/**
 * The calls of one connection: a fixed number in flight, the others in order of arrival.
 *
 * A daemon stops reading a connection, keepalive included, while five of its calls are executing
 * (`max_client_requests`). A call whose caller gave up still executes there, so it keeps its slot
 * until its reply arrives.
 */
export class CallQueue {
  readonly #options: CallQueueOptions;
  readonly #waiting = new Set<PendingCall>();
  readonly #inFlight = new Map<number, PendingCall>();
  #lastSerial = 0;
  #abandoned = 0;
  #endReason: RpcError | undefined;

  constructor(options: CallQueueOptions) {
    this.#options = options;
  }

  /** How busy the connection is. */
  get load(): ConnectionLoad {
    return {
      inFlight: this.#inFlight.size,
      queued: this.#waiting.size,
      abandoned: this.#abandoned,
    };
  }

  /** Whether the daemon has not answered the call with this serial yet. */
  isInFlight(serial: number): boolean {
    return this.#inFlight.has(serial);
  }

  /** Calls a procedure; see `LibvirtConnection.call`. */
  call<Arguments, Result>(
    procedure: Procedure<Arguments, Result>,
    args: Arguments,
    { signal, deadlineMs, onReply }: InternalCallOptions<Result>,
  ): Promise<Result> {
    return new Promise<Result>((resolve, reject) => {
      if (this.#endReason !== undefined) throw this.#endReason;
      if (signal?.aborted === true) throw abortedError(procedure.name, signal);
      const frame = encodeCall(procedure, args);
      if (this.#waiting.size >= this.#options.maxQueued) throw queueFull(this.#options.maxQueued);

      const limitMs = deadlineMs ?? this.#options.defaultDeadlineMs;
      const timer =
        limitMs <= longestTimerMs
          ? setTimeout(() => this.#giveUp(call, deadlineExceeded(procedure.name, limitMs)), limitMs)
          : undefined;
      const onAbort = (): void => this.#giveUp(call, abortedError(procedure.name, signal!));
      signal?.addEventListener("abort", onAbort, { once: true });
      const call: PendingCall = {
        procedure,
        frame,
        onReply,
        resolve: resolve as (result: unknown) => void,
        reject,
        cleanUp: () => {
          clearTimeout(timer);
          signal?.removeEventListener("abort", onAbort);
        },
        abandoned: false,
      };
      if (this.#inFlight.size < this.#options.maxInFlight) this.#send(call);
      else this.#waiting.add(call);
    });
  }

  /**
   * Takes a reply.
   *
   * @returns false when no call with its serial is in flight.
   * @throws RpcError `RPC_PROTOCOL` when the serial was never used or belongs to another procedure.
   */
  receive(frame: Frame): boolean {
    const call = this.#inFlight.get(frame.serial);
    if (call === undefined) {
      if (frame.serial !== 0 && frame.serial <= this.#lastSerial) return false;
      throw new RpcError("RPC_PROTOCOL", `A reply has the serial ${frame.serial}, never used.`);
    }
    const { procedure } = call;
    if (
      frame.program !== procedure.program ||
      frame.version !== programVersion ||
      frame.procedure !== procedure.number
    ) {
      throw new RpcError("RPC_PROTOCOL", `A reply to ${procedure.name} names another procedure.`);
    }
    this.#inFlight.delete(frame.serial);
    if (call.abandoned) this.#abandoned -= 1;
    call.cleanUp();
    settle(call, frame);
    this.#fillSlots();
    return true;
  }

  /** Rejects every call, in flight or waiting, and all later ones. */
  end(reason: RpcError): void {
    this.#endReason = reason;
    const calls = [...this.#inFlight.values(), ...this.#waiting];
    this.#inFlight.clear();
    this.#waiting.clear();
    this.#abandoned = 0;
    for (const call of calls) {
      call.cleanUp();
      call.reject(reason);
    }
  }

  #send(call: PendingCall): void {
    this.#lastSerial = this.#lastSerial === 0xffff_ffff ? 1 : this.#lastSerial + 1;
    this.#inFlight.set(this.#lastSerial, call);
    call.frame.writeUInt32BE(this.#lastSerial, serialOffset);
    this.#options.send(call.frame);
  }

  #fillSlots(): void {
    for (const call of this.#waiting) {
      if (this.#inFlight.size >= this.#options.maxInFlight) return;
      this.#waiting.delete(call);
      this.#send(call);
    }
  }

  #giveUp(call: PendingCall, reason: RpcError): void {
    call.cleanUp();
    if (!this.#waiting.delete(call)) {
      call.abandoned = true;
      this.#abandoned += 1;
    }
    call.reject(reason);
  }
}

function encodeCall<Arguments>(procedure: Procedure<Arguments, unknown>, args: Arguments): Buffer {
  const { program, number } = procedure;
  try {
    return encodeFrame(
      {
        program,
        procedure: number,
        type: messageType.call,
        serial: 0,
        status: messageStatus.ok,
      },
      (writer) => procedure.argumentsCodec.write(writer, args),
    );
  } catch (error) {
    throw new RpcError(
      "RPC_INVALID_ARGUMENT",
      `The arguments of ${procedure.name} cannot be sent: ${(error as Error).message}`,
      { cause: error },
    );
  }
}

function settle(call: PendingCall, frame: Frame): void {
  try {
    if (frame.status === messageStatus.error) {
      return call.reject(readLibvirtError(frame.payload, call.procedure.name));
    }
    if (frame.status !== messageStatus.ok) {
      throw new RpcError("RPC_PROTOCOL", `the reply has the status ${frame.status}`);
    }
    const reader = new XdrReader(frame.payload);
    const result = call.procedure.resultCodec.read(reader);
    reader.expectEnd();
    call.onReply?.(result as never, frame.serial, call.abandoned);
    call.resolve(result);
  } catch (error) {
    if (!isRpcError(error)) throw error;
    call.reject(
      new RpcError(
        "RPC_PROTOCOL",
        `The reply to ${call.procedure.name} is malformed: ${error.message}`,
        { cause: error },
      ),
    );
  }
}

function queueFull(maxQueued: number): RpcError {
  return new RpcError(
    "RPC_QUEUE_FULL",
    `${maxQueued} calls already wait on this libvirt connection; retry later.`,
  );
}

function deadlineExceeded(name: string, limitMs: number): RpcError {
  return new RpcError(
    "RPC_DEADLINE_EXCEEDED",
    `${name} was not answered within ${limitMs} ms. The daemon may still carry it out.`,
  );
}
