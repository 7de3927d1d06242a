import { isLibvirtError } from "./libvirt-error.ts";
import { procedures } from "./procedures.ts";
import type { RpcConnection } from "./rpc-connection.ts";
import { abortedError, RpcError } from "./rpc-error.ts";
import type { SaslCredentials, SaslCredentialsProvider } from "./sasl-credentials.ts";
import { scramHashes, startScram } from "./scram.ts";

interface SaslOptions {
  readonly credentials: SaslCredentialsProvider | undefined;
  readonly signal: AbortSignal;
}

interface SaslReply {
  readonly complete: boolean;
  readonly data: Uint8Array;
}

/**
 * Authenticates with the best SCRAM mechanism that the daemon offers (remote_driver.c
 * `remoteAuthSASL`). No security layer is negotiated: below is TLS, ssh or a unix socket.
 *
 * @throws RpcError `RPC_AUTHENTICATION_FAILED` naming the daemon's mechanisms when there is none or
 * no credentials are given, and when they are refused.
 */
export async function authenticateSasl(
  connection: RpcConnection,
  { credentials, signal }: SaslOptions,
): Promise<void> {
  const { mechanisms } = await connection.call(procedures.authSaslInit, {}, { signal });
  const offered = mechanisms.split(/[\s,]+/).filter((name) => name !== "");
  const mechanism = Object.keys(scramHashes).find((name) => offered.includes(name));
  if (mechanism === undefined) throw unsupported(offered);
  if (credentials === undefined) throw withoutCredentials(mechanism);
  const given = await provide(credentials, mechanism, signal);
  try {
    await converse(connection, mechanism, given, signal);
  } catch (error) {
    if (!isLibvirtError(error)) throw error;
    throw new RpcError(
      "RPC_AUTHENTICATION_FAILED",
      `The daemon refused the ${mechanism} user name or password: ${error.message}`,
      { cause: error },
    );
  }
}

async function converse(
  connection: RpcConnection,
  mechanism: string,
  credentials: SaslCredentials,
  signal: AbortSignal,
): Promise<void> {
  const exchange = startScram({ mechanism, credentials });
  const step = (text: string | undefined): Promise<SaslReply> =>
    connection.call(
      procedures.authSaslStep,
      { isNull: text === undefined, data: Buffer.from(text ?? "") },
      { signal },
    );
  const first = await connection.call(
    procedures.authSaslStart,
    { mechanism, isNull: false, data: Buffer.from(exchange.firstMessage) },
    { signal },
  );
  const final = await step(await exchange.finalMessage(textOf(first)));
  exchange.verify(textOf(final));
  // A daemon that keeps its last word for itself until it was heard waits for an empty answer.
  if (final.complete || (await step(undefined)).complete) return;
  throw new RpcError("RPC_AUTHENTICATION_FAILED", "The daemon did not end the SASL conversation.");
}

async function provide(
  credentials: SaslCredentialsProvider,
  mechanism: string,
  signal: AbortSignal,
): Promise<SaslCredentials> {
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const onAbort = (): void => reject(abortedError("Opening the connection", signal));
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    return await Promise.race([aborted, credentials({ mechanism, signal })]);
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}

function textOf({ data }: SaslReply): string {
  return Buffer.from(data).toString("utf8");
}

function unsupported(offered: readonly string[]): RpcError {
  return new RpcError(
    "RPC_AUTHENTICATION_FAILED",
    `The daemon asks for SASL with ${offered.join(", ") || "no mechanism at all"}; supported are ` +
      `${Object.keys(scramHashes).join(", ")}. Set mech_list in the daemon's sasl2/libvirt.conf.`,
  );
}

function withoutCredentials(mechanism: string): RpcError {
  return new RpcError(
    "RPC_AUTHENTICATION_FAILED",
    `The daemon asks for SASL with ${mechanism}, and no credentials were given; ` +
      "give them with the option saslCredentials.",
  );
}
