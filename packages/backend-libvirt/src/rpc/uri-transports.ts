import { daemonSocketPaths, localRuntimeDirectory } from "./daemon-sockets.ts";
import type { LibvirtTransport, SshTransport, TlsTransport } from "./libvirt-transport.ts";
import type { ParseLibvirtUriOptions } from "./libvirt-uri.ts";
import { RpcError } from "./rpc-error.ts";
import { checkSshTransport } from "./ssh-command.ts";
import { booleanParameter, decodeUriText, type UriParameters } from "./uri-parameters.ts";

/** A URI, taken apart as far as all transports need. */
export interface UriParts {
  readonly driver: string;
  readonly url: URL;
  readonly driverUri: string;
  readonly parameters: UriParameters;
  readonly options: ParseLibvirtUriOptions;
}

const hostPattern = /^(?:[A-Za-z0-9_][A-Za-z0-9._-]*|\[[0-9A-Fa-f:.]+\])$/;
const defaultTlsPort = 16514;
const remoteRuntimeDirectory = "/var/run";
const proxies = ["auto", "native", "netcat"] as const;

/** The sockets of a URI without a host. */
export function unixTransport({ driver, url, parameters, options }: UriParts): LibvirtTransport {
  const socket = parameters.client.get("socket");
  if (socket !== undefined) return { type: "unix", socketPaths: [socket] };
  const session = isSession(url);
  return {
    type: "unix",
    socketPaths: daemonSocketPaths({
      driver,
      mode: parameters.client.get("mode") ?? "auto",
      // A session daemon has no read-only socket: its only user may do everything anyway.
      readOnly: options.readOnly === true && !session,
      runtimeDirectory: options.runtimeDirectory ?? localRuntimeDirectory(session),
    }),
  };
}

/** The TLS port of a URI; it cannot turn the verification off. */
export function tlsTransport({ url, parameters }: UriParts): TlsTransport {
  if (booleanParameter(parameters, "no_verify")) {
    throw invalidUri(
      "cannot have no_verify=1 with TLS, where the daemon is always verified; put its CA into " +
        "the folder that pkipath names",
    );
  }
  if (url.username !== "") {
    throw invalidUri("cannot have a user name with TLS, where the certificate says who this is");
  }
  const pkiPath = parameters.client.get("pkipath");
  return {
    type: "tls",
    host: hostOf(url),
    port: portOf(url) ?? defaultTlsPort,
    ...(pkiPath !== undefined && { pkiPath }),
  };
}

/** What a URI says to ssh and on the other machine. */
export function sshTransport({
  driver,
  url,
  driverUri,
  parameters,
  options,
}: UriParts): SshTransport {
  const { client } = parameters;
  const socket = client.get("socket");
  const mode = client.get("mode") ?? "auto";
  const proxy = proxies.find((name) => name === (client.get("proxy") ?? "auto"));
  if (proxy === undefined) throw invalidUri("must have auto, native or netcat as its proxy");
  const session = isSession(url);
  const choosesSocket = socket !== undefined || mode !== "auto";
  if (proxy === "native" && (choosesSocket || client.has("netcat"))) {
    throw invalidUri(
      "cannot have socket, mode or netcat with proxy=native, which finds the socket",
    );
  }
  const netcatOnly = proxy === "netcat" || choosesSocket;
  if (netcatOnly && session && socket === undefined) {
    throw invalidUri("needs the parameter socket to reach a session daemon through netcat");
  }
  const readOnly = options.readOnly === true;
  const knownPaths = session
    ? []
    : daemonSocketPaths({ driver, mode, readOnly, runtimeDirectory: remoteRuntimeDirectory });
  const port = portOf(url);
  const keyFile = client.get("keyfile");
  const transport: SshTransport = {
    type: "ssh",
    host: hostOf(url),
    ...(port !== undefined && { port }),
    ...(url.username !== "" && { user: decodeUriText(url.username) }),
    ...(keyFile !== undefined && { keyFile }),
    verifiesHost: !booleanParameter(parameters, "no_verify"),
    proxy: netcatOnly ? "netcat" : proxy,
    netcat: client.get("netcat") ?? "nc",
    socketPaths: socket === undefined ? knownPaths : [socket],
    driverUri,
    readOnly: readOnly && !session,
  };
  checkSshTransport(transport);
  return transport;
}

function isSession(url: URL): boolean {
  return url.pathname === "/session";
}

function hostOf(url: URL): string {
  if (url.hostname === "") return "localhost";
  if (!hostPattern.test(url.hostname))
    throw invalidUri("has a host that is no name and no address");
  return url.hostname.replace(/^\[(.*)\]$/, "$1");
}

function portOf(url: URL): number | undefined {
  if (url.port === "") return undefined;
  if (url.port === "0") throw invalidUri("cannot have the port 0");
  return Number(url.port);
}

/** The error for a URI with a part that is not supported. */
export function invalidUri(problem: string): RpcError {
  return new RpcError("RPC_INVALID_URI", `This libvirt URI ${problem}.`);
}
