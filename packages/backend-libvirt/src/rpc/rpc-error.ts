/**
 * Stable codes of {@link RpcError}.
 *
 * - `RPC_CONNECT_FAILED`: the daemon could not be reached, or its TLS certificate is not trusted.
 * - `RPC_AUTHENTICATION_FAILED`: the daemon asks for an authentication that did not succeed, or it
 *   refused the TLS certificate of this client.
 * - `RPC_CONNECTION_LOST`: the peer closed, the socket failed or the peer stopped answering pings.
 * - `RPC_CLOSED`: this side closed the connection, pool, stream or subscription.
 * - `RPC_DEADLINE_EXCEEDED`: no reply in time; the daemon may still carry the call out.
 * - `RPC_ABORTED`: the caller's signal fired; the daemon may still carry the call out.
 * - `RPC_PROTOCOL`: bytes that do not follow the libvirt RPC protocol.
 * - `RPC_QUEUE_FULL`: too many calls already wait on the connection.
 * - `RPC_STREAM_OVERFLOW`: a stream consumer is too slow on a connection that other calls share.
 * - `RPC_INVALID_ARGUMENT`: a value that the wire format cannot carry.
 * - `RPC_INVALID_URI`: not a libvirt connection URI, or one with a part that is not supported.
 * - `RPC_UNSUPPORTED_TRANSPORT`: a libvirt URI whose transport this client does not speak.
 */
export type RpcErrorCode =
  | "RPC_CONNECT_FAILED"
  | "RPC_AUTHENTICATION_FAILED"
  | "RPC_CONNECTION_LOST"
  | "RPC_CLOSED"
  | "RPC_DEADLINE_EXCEEDED"
  | "RPC_ABORTED"
  | "RPC_PROTOCOL"
  | "RPC_QUEUE_FULL"
  | "RPC_STREAM_OVERFLOW"
  | "RPC_INVALID_ARGUMENT"
  | "RPC_INVALID_URI"
  | "RPC_UNSUPPORTED_TRANSPORT";

const brand: unique symbol = Symbol.for("@polyvisor/backend-libvirt/RpcError");

/** A failure of the RPC client itself, as opposed to an error that the daemon reported. */
export class RpcError extends Error {
  override readonly name: string = "RpcError";
  /** Stable code; see {@link RpcErrorCode}. */
  readonly code: RpcErrorCode;
  /** @internal */
  readonly [brand]: true = true;

  constructor(code: RpcErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/**
 * Whether a value is an {@link RpcError}, also one of another copy of this package.
 *
 * @param codes - When given, the code must be one of them.
 */
export function isRpcError(value: unknown, ...codes: readonly RpcErrorCode[]): value is RpcError {
  if (typeof value !== "object" || value === null || !(brand in value)) return false;
  return codes.length === 0 || codes.includes((value as RpcError).code);
}

/** The error for a fired signal; its reason becomes the cause. */
export function abortedError(what: string, signal: AbortSignal): RpcError {
  return new RpcError("RPC_ABORTED", `${what} was aborted by the caller.`, {
    cause: signal.reason,
  });
}
