import type { LibvirtTransport } from "./libvirt-transport.ts";
import { RpcError } from "./rpc-error.ts";
import { separateParameters, type TransportName } from "./uri-parameters.ts";
import {
  invalidUri,
  sshTransport,
  tlsTransport,
  unixTransport,
  type UriParts,
} from "./uri-transports.ts";

/** A libvirt connection URI, split into what the daemon and what the client needs. */
export interface LibvirtUri {
  /** The URI for the daemon, without transport, host and client parameters: `qemu:///system`. */
  readonly driverUri: string;
  /** How to get to the daemon, for `createStreamFactory`. */
  readonly transport: LibvirtTransport;
}

/** Options of {@link parseLibvirtUri}. */
export interface ParseLibvirtUriOptions {
  /** Take the read-only sockets; default false. A TLS port has no read-only twin. */
  readonly readOnly?: boolean;
  /**
   * Folder of this machine that holds `libvirt/` with the sockets. Default `/run` for the system
   * daemons and `$XDG_RUNTIME_DIR`, else `/run/user/<uid>`, for session daemons.
   */
  readonly runtimeDirectory?: string;
}

const schemePattern = /^([a-z][a-z0-9]*)(?:\+([a-z0-9]+))?$/;

/**
 * Parses a libvirt connection URI (libvirt docs, "Connection URIs").
 *
 * @remarks
 * - Without a host and a transport, or with `+unix`: a unix socket; parameters `mode`, `socket`.
 * - With a host and no transport, or with `+tls`: TLS on port 16514; parameter `pkipath`. Both
 *   sides are always verified, so `no_verify=1` is refused.
 * - `+ssh`: the system's ssh; parameters `proxy`, `netcat`, `socket`, `mode`, `keyfile`,
 *   `no_verify` (take hosts that are not known yet: ssh's `StrictHostKeyChecking=accept-new`) and
 *   `no_tty`, which is how it always is. virt-ssh-helper finds its socket itself, so `socket` and `mode` lead to netcat.
 * - `name` replaces the URI for the daemon. Parameters that libvirt does not know go to the daemon.
 * - `+tcp` is not supported, not even on this machine: nothing on it is encrypted or proven, and
 *   the SASL mechanisms that could are not among those of this client.
 *
 * @throws RpcError `RPC_INVALID_URI` for anything that is not such a URI or has a part that is not
 * supported, and `RPC_UNSUPPORTED_TRANSPORT` for another transport.
 */
export function parseLibvirtUri(uri: string, options: ParseLibvirtUriOptions = {}): LibvirtUri {
  const [scheme = "", ...rest] = uri.split(":");
  const match = schemePattern.exec(scheme);
  if (match === null || !rest.join(":").startsWith("//") || !URL.canParse(uri)) {
    throw new RpcError(
      "RPC_INVALID_URI",
      "This is not a libvirt URI such as qemu:///system or qemu+ssh://root@host/system.",
    );
  }
  const [, driver = "", named] = match;
  const url = new URL(uri);
  if (url.password !== "") throw invalidUri("cannot carry a password: it would show in logs");
  const transport = transportName(driver, named, url.host);
  const parameters = separateParameters(url.search, transport);
  const driverUri =
    parameters.client.get("name") ?? `${driver}://${url.pathname}${parameters.daemonQuery}`;
  return {
    driverUri,
    transport: transports[transport]({ driver, url, driverUri, parameters, options }),
  };
}

const transports: Readonly<Record<TransportName, (parts: UriParts) => LibvirtTransport>> = {
  unix: unixTransport,
  tls: tlsTransport,
  ssh: sshTransport,
};

function transportName(driver: string, named: string | undefined, host: string): TransportName {
  const implied = named ?? (host === "" ? "unix" : "tls");
  if (implied === "tls" || implied === "ssh" || (implied === "unix" && host === "")) return implied;
  throw new RpcError(
    "RPC_UNSUPPORTED_TRANSPORT",
    implied === "unix"
      ? `A ${driver}+unix URI names a local socket and cannot have a host; use ${driver}:///system.`
      : `The transport "${implied}" is not supported; supported are "unix", "tls" and "ssh".` +
          (implied === "tcp" ? " It would send everything unencrypted." : ""),
  );
}
