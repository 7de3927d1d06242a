import type { LibvirtTransport, StreamFactory } from "./libvirt-transport.ts";
import { sshStreamFactory } from "./ssh-connection.ts";
import { tlsStreamFactory } from "./tls-connection.ts";
import type { TlsCredentialPlaces } from "./tls-credentials.ts";
import { unixSocketFactory } from "./unix-socket.ts";

/** Options of {@link createStreamFactory}. */
export interface StreamFactoryOptions {
  /** Where the certificates for TLS are, unless the URI says it with `pkipath`. */
  readonly tlsCredentialPlaces?: TlsCredentialPlaces | undefined;
}

/**
 * The factory that opens byte streams over a transport, for the option `connect` of
 * `createConnectionPool` and `openConnection`.
 *
 * @remarks
 * The factory rejects with `RPC_CONNECT_FAILED` when the daemon cannot be reached, with
 * `RPC_AUTHENTICATION_FAILED` when it refuses the TLS client certificate, and with `RPC_ABORTED`.
 * Over ssh it resolves when ssh runs: a failure to log in comes with the first bytes that are
 * awaited, again as `RPC_CONNECT_FAILED`, and says what ssh printed.
 */
export function createStreamFactory(
  transport: LibvirtTransport,
  options: StreamFactoryOptions = {},
): StreamFactory {
  switch (transport.type) {
    case "unix":
      return unixSocketFactory(transport.socketPaths);
    case "tls":
      return tlsStreamFactory(transport, options.tlsCredentialPlaces);
    case "ssh":
      return sshStreamFactory(transport);
  }
}
