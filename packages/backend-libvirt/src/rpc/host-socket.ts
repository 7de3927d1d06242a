import type { LibvirtTransport, StreamFactory } from "./libvirt-transport.ts";
import { RpcError } from "./rpc-error.ts";
import { sshStreamFactory } from "./ssh-connection.ts";
import { unixSocketFactory } from "./unix-socket.ts";

/** Where a system daemon's sockets are, as the host itself sees them. */
const SYSTEM_SOCKETS = /^(?<root>.*)\/run\/libvirt\/[^/]+$/;

/**
 * A factory for another unix socket of a daemon's host, such as that of a guest's screen. It is reached in the way in
 * which the daemon's own socket is: locally, below the same root should the host's files lie below one (a container),
 * or through ssh with netcat.
 *
 * @throws RpcError `RPC_UNSUPPORTED_TRANSPORT` for TLS, which leads to the daemon alone.
 */
export function hostSocketFactory(transport: LibvirtTransport, path: string): StreamFactory {
  switch (transport.type) {
    case "unix": {
      const roots = transport.socketPaths.map(
        (each) => SYSTEM_SOCKETS.exec(each)?.groups?.["root"],
      );
      return unixSocketFactory([...new Set(roots.map((root = "") => root + path))]);
    }
    case "ssh":
      return sshStreamFactory({ ...transport, proxy: "netcat", socketPaths: [path] });
    case "tls":
      throw new RpcError(
        "RPC_UNSUPPORTED_TRANSPORT",
        "A host behind TLS gives out the libvirt daemon alone: reach it through ssh to get at its other sockets.",
      );
  }
}
