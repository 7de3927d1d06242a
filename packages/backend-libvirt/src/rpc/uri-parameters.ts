import { RpcError } from "./rpc-error.ts";

/** The client's parameters of a URI, and the query that is left for the daemon. */
export interface UriParameters {
  /** Values by name, decoded. */
  readonly client: ReadonlyMap<string, string>;
  /** The rest as it was, with its `?`, or the empty string. */
  readonly daemonQuery: string;
}

/** Transports whose parameters are known. */
export type TransportName = "unix" | "tls" | "ssh";

const supported: Readonly<Record<TransportName, readonly string[]>> = {
  unix: ["name", "mode", "socket"],
  tls: ["name", "pkipath", "no_verify"],
  ssh: ["name", "mode", "socket", "proxy", "netcat", "keyfile", "no_verify", "no_tty"],
};

const unsupported =
  "auth authfile command known_hosts known_hosts_verify no_sanity sshauth tls_priority".split(" ");
const clientParameters = new Set([...Object.values(supported).flat(), ...unsupported]);

/**
 * Separates the parameters of the client from those of the daemon (libvirt docs, "Transport
 * configuration"). A plus sign is itself, and the last of several values counts.
 *
 * @throws RpcError `RPC_INVALID_URI` for a parameter that the transport has not or that this client
 * does not support, instead of ignoring what may matter for security.
 */
export function separateParameters(query: string, transport: TransportName): UriParameters {
  const client = new Map<string, string>();
  const rest: string[] = [];
  for (const pair of query.replace(/^\?/, "").split("&")) {
    if (pair === "") continue;
    const [name = "", ...value] = pair.split("=");
    const known = decodeUriText(name).toLowerCase();
    if (!clientParameters.has(known)) {
      rest.push(pair);
      continue;
    }
    if (!supported[transport].includes(known)) {
      throw new RpcError(
        "RPC_INVALID_URI",
        `The URI parameter "${known}" is not supported with the transport "${transport}"; ` +
          `supported are ${supported[transport].join(", ")}.`,
      );
    }
    client.set(known, decodeUriText(value.join("=")));
  }
  return { client, daemonQuery: rest.length === 0 ? "" : `?${rest.join("&")}` };
}

/** A parameter that is a whole number and means true unless it is zero; default false. */
export function booleanParameter({ client }: UriParameters, name: string): boolean {
  const value = client.get(name) ?? "0";
  if (/^\d+$/.test(value)) return Number(value) !== 0;
  throw new RpcError("RPC_INVALID_URI", `The URI parameter "${name}" must be 0 or 1.`);
}

/**
 * Resolves percent sequences.
 *
 * @throws RpcError `RPC_INVALID_URI` for a malformed one.
 */
export function decodeUriText(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch (error) {
    throw new RpcError("RPC_INVALID_URI", "The URI has a malformed percent sequence.", {
      cause: error,
    });
  }
}
