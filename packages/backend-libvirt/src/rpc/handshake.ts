import { procedures } from "./procedures.ts";
import type { RpcConnection } from "./rpc-connection.ts";
import { RpcError } from "./rpc-error.ts";
import { authenticateSasl } from "./sasl-authentication.ts";
import type { SaslCredentialsProvider } from "./sasl-credentials.ts";

interface GreetOptions {
  readonly uri: string;
  readonly readOnly: boolean;
  /** Ask the daemon to watch over this side with pings of its own. */
  readonly daemonPings: boolean;
  readonly saslCredentials: SaslCredentialsProvider | undefined;
  readonly signal: AbortSignal;
}

const authenticationNone = 0;
const authenticationSasl = 1;
const authenticationPolkit = 2;
const keepaliveFeature = 10;
const readOnlyFlag = 1;

/** Authenticates, arms the daemon's keepalive and opens the driver (remote_driver.c `doRemoteOpen`). */
export async function greet(connection: RpcConnection, options: GreetOptions): Promise<void> {
  const { signal } = options;
  const { types } = await connection.call(procedures.authList, {}, { signal });
  await authenticate(connection, types, options);
  if (options.daemonPings) {
    // The question alone makes the daemon ping; it may say no, and then it only answers pings.
    await connection.call(
      procedures.connectSupportsFeature,
      { feature: keepaliveFeature },
      { signal },
    );
  }
  await connection.call(
    procedures.connectOpen,
    { name: options.uri, flags: options.readOnly ? readOnlyFlag : 0 },
    { signal },
  );
}

async function authenticate(
  connection: RpcConnection,
  types: readonly number[],
  { saslCredentials, signal }: GreetOptions,
): Promise<void> {
  if (types.length === 0 || types.includes(authenticationNone)) return;
  if (types.includes(authenticationSasl)) {
    return authenticateSasl(connection, { credentials: saslCredentials, signal });
  }
  if (!types.includes(authenticationPolkit)) {
    throw new RpcError(
      "RPC_AUTHENTICATION_FAILED",
      `The daemon asks for authentication of type ${types.join(", ")}; ` +
        "supported are none, SASL and polkit. Change auth_unix_rw in the daemon's configuration.",
    );
  }
  const { complete } = await connection.call(procedures.authPolkit, {}, { signal });
  if (complete) return;
  throw new RpcError(
    "RPC_AUTHENTICATION_FAILED",
    "polkit did not let this user in; add the user to the libvirt group or to a polkit rule.",
  );
}
