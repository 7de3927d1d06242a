import type { CallOptions, ConnectionLoad } from "./call-queue.ts";
import type { EventDefinition } from "./event-definitions.ts";
import type { SubscribeOptions } from "./event-router.ts";
import type { EventSubscription } from "./event-subscription.ts";
import { greet } from "./handshake.ts";
import type { KeepaliveOptions } from "./keepalive.ts";
import type { StreamFactory } from "./libvirt-transport.ts";
import { silentLogger, type RpcLogger } from "./logger.ts";
import type { Procedure } from "./procedures.ts";
import { RpcConnection } from "./rpc-connection.ts";
import { abortedError, isRpcError, RpcError } from "./rpc-error.ts";
import type { SaslCredentialsProvider } from "./sasl-credentials.ts";
import type { RpcStream } from "./stream.ts";
import { unixSocketFactory } from "./unix-socket.ts";

/** Options of {@link openConnection}. */
export interface OpenConnectionOptions {
  /** Unix socket of the daemon, or several to try in order. */
  readonly socketPath?: string | readonly string[] | undefined;
  /**
   * Opens the byte stream instead of `socketPath`; for a libvirt URI of any transport,
   * `createStreamFactory(parseLibvirtUri(uri).transport)`. A stream may fail with an RpcError, which
   * then is the reason for which the connection ended.
   */
  readonly connect?: StreamFactory | undefined;
  /** Driver URI for the daemon, such as `qemu:///system`. */
  readonly uri: string;
  /** Gives user name and password when the daemon asks for SASL; default: that is an error. */
  readonly saslCredentials?: SaslCredentialsProvider | undefined;
  /** Open read-only; default false. */
  readonly readOnly?: boolean | undefined;
  /** Pings while idle, default every 5 s and dead after 5 unanswered; `false` for none. */
  readonly keepalive?: KeepaliveOptions | false | undefined;
  /**
   * The connection serves one stream: a slow consumer stops the reading of the whole connection,
   * and the daemon is not asked to ping, because its pings would then go unanswered. Default false.
   */
  readonly dedicated?: boolean | undefined;
  /** Milliseconds until the connection must be open; default 30 000. */
  readonly openDeadlineMs?: number | undefined;
  /** Deadline in milliseconds of calls that set none; default 60 000. */
  readonly defaultDeadlineMs?: number | undefined;
  /** Calls in flight, 1 to 4, default 4; the daemon stops reading a connection at 5. */
  readonly maxInFlight?: number | undefined;
  /** Calls that may wait for a slot before `RPC_QUEUE_FULL`; default 1024. */
  readonly maxQueued?: number | undefined;
  readonly logger?: RpcLogger | undefined;
  /** Gives the opening up. It has no effect on the open connection. */
  readonly signal?: AbortSignal | undefined;
}

/** An open connection to a libvirt daemon. */
export interface LibvirtConnection extends AsyncDisposable {
  /**
   * Calls a procedure.
   *
   * @throws LibvirtError when the daemon reports an error; RpcError `RPC_DEADLINE_EXCEEDED`,
   * `RPC_ABORTED`, `RPC_QUEUE_FULL`, `RPC_INVALID_ARGUMENT`, `RPC_PROTOCOL` for a malformed reply,
   * or the reason for which the connection ended.
   */
  call<Arguments, Result>(
    procedure: Procedure<Arguments, Result>,
    args: NoInfer<Arguments>,
    options?: CallOptions,
  ): Promise<Result>;
  /** Calls a procedure that opens a stream; `signal` also aborts the stream later. */
  openStream<Arguments, Result>(
    procedure: Procedure<Arguments, Result>,
    args: NoInfer<Arguments>,
    options?: CallOptions,
  ): Promise<RpcStream>;
  /** Subscribes to an event; fails like {@link LibvirtConnection.call}. */
  subscribe<Payload, Subject>(
    event: EventDefinition<Payload, Subject>,
    options?: SubscribeOptions<NoInfer<Subject>>,
  ): Promise<EventSubscription<Payload>>;
  /** How busy the connection is. */
  readonly load: ConnectionLoad;
  /** Why the connection ended; undefined while it is open. */
  readonly endReason: RpcError | undefined;
  /** Resolves with the reason once the connection has ended; never rejects. */
  readonly ended: Promise<RpcError>;
  /** Says goodbye to the daemon, then ends every call, stream and subscription (`RPC_CLOSED`). */
  close(): Promise<void>;
}

/**
 * Opens a connection: byte stream, authentication, keepalive, `CONNECT_OPEN`, in this order.
 *
 * @remarks
 * A reply whose serial was never used, or that names another procedure than its call, and a
 * malformed event or stream packet end the connection with `RPC_PROTOCOL`. A malformed reply fails its call only.
 * A reply to a call that is over, stream packets of a closed stream, and messages of unknown
 * programs and procedures are ignored, since later daemons may send new ones.
 *
 * @throws RpcError `RPC_CONNECT_FAILED`, `RPC_AUTHENTICATION_FAILED`, `RPC_ABORTED`,
 * `RPC_DEADLINE_EXCEEDED`, `RPC_INVALID_ARGUMENT`; LibvirtError when the daemon refuses.
 */
export async function openConnection(options: OpenConnectionOptions): Promise<LibvirtConnection> {
  const { signal, openDeadlineMs = 30_000 } = options;
  if (signal?.aborted === true) throw abortedError("Opening the connection", signal);
  const deadline = AbortSignal.timeout(openDeadlineMs);
  const limit = signal === undefined ? deadline : AbortSignal.any([signal, deadline]);
  try {
    return await open(options, limit);
  } catch (error) {
    if (!isRpcError(error, "RPC_ABORTED") || !deadline.aborted) throw error;
    throw new RpcError(
      "RPC_DEADLINE_EXCEEDED",
      `The libvirt connection was not open within ${openDeadlineMs} ms.`,
      { cause: error },
    );
  }
}

async function open(
  options: OpenConnectionOptions,
  signal: AbortSignal,
): Promise<LibvirtConnection> {
  const { keepalive = {}, dedicated = false, maxInFlight = 4 } = options;
  if (!Number.isInteger(maxInFlight) || maxInFlight < 1 || maxInFlight > 4) {
    throw new RpcError("RPC_INVALID_ARGUMENT", "maxInFlight must be 1, 2, 3 or 4.");
  }
  const connect = options.connect ?? unixSocketFactory([options.socketPath ?? []].flat());
  const stream = await connect({ signal });
  if (stream.destroyed) {
    throw new RpcError(
      "RPC_CONNECTION_LOST",
      "The libvirt connection ended as soon as it was open.",
    );
  }
  const connection = new RpcConnection(stream, {
    maxInFlight,
    maxQueued: options.maxQueued ?? 1024,
    defaultDeadlineMs: options.defaultDeadlineMs ?? 60_000,
    pauseForStreams: dedicated,
    logger: options.logger ?? silentLogger,
  });
  try {
    await greet(connection, {
      uri: options.uri,
      readOnly: options.readOnly ?? false,
      daemonPings: keepalive !== false && !dedicated,
      saslCredentials: options.saslCredentials,
      signal,
    });
  } catch (error) {
    connection.end(new RpcError("RPC_CLOSED", "The connection could not be opened."));
    throw error;
  }
  if (keepalive !== false) connection.startKeepalive(keepalive);
  return connection;
}
