import { join } from "node:path";
import process from "node:process";

import { RpcError } from "./rpc-error.ts";

/** A libvirt connection URI, split into what the daemon and what the client needs. */
export interface LibvirtUri {
  /** The URI for the daemon, without transport, host and client parameters: `qemu:///system`. */
  readonly driverUri: string;
  /** Unix sockets to try in this order: the modular daemon's, then the monolithic one's. */
  readonly socketPaths: readonly string[];
}

/** Options of {@link parseLibvirtUri}. */
export interface ParseLibvirtUriOptions {
  /** Take the read-only sockets; default false. */
  readonly readOnly?: boolean;
  /**
   * Folder that holds `libvirt/` with the sockets. Default `/run` for the system daemons and
   * `$XDG_RUNTIME_DIR`, else `/run/user/<uid>`, for session daemons.
   */
  readonly runtimeDirectory?: string;
}

const modularDaemons: Readonly<Record<string, string>> = {
  qemu: "virtqemud",
  lxc: "virtlxcd",
  xen: "virtxend",
  vz: "virtvzd",
  bhyve: "virtbhyved",
  vbox: "virtvboxd",
  network: "virtnetworkd",
  storage: "virtstoraged",
  nodedev: "virtnodedevd",
  secret: "virtsecretd",
  nwfilter: "virtnwfilterd",
  interface: "virtinterfaced",
};

const clientParameters = new Set(["socket", "mode"]);
const schemePattern = /^([a-z][a-z0-9]*)(?:\+([a-z0-9]+))?$/;

/**
 * Parses a libvirt connection URI (libvirt docs, "Connection URIs").
 *
 * @throws RpcError `RPC_INVALID_URI` for anything that is not such a URI, and
 * `RPC_UNSUPPORTED_TRANSPORT` for one that does not lead to a local unix socket.
 */
export function parseLibvirtUri(uri: string, options: ParseLibvirtUriOptions = {}): LibvirtUri {
  const [scheme = "", ...rest] = uri.split(":");
  const parts = schemePattern.exec(scheme);
  if (parts === null || !rest.join(":").startsWith("//") || !URL.canParse(uri)) {
    throw new RpcError(
      "RPC_INVALID_URI",
      `The URI of scheme "${scheme}" is not a libvirt URI such as qemu:///system.`,
    );
  }
  const [, driver = "", transport] = parts;
  const url = new URL(uri);
  rejectRemote(driver, transport, url.host);

  const parameters = url.searchParams;
  const socket = parameters.get("socket");
  const kept = new URLSearchParams([...parameters].filter(([name]) => !clientParameters.has(name)));
  const query = kept.size === 0 ? "" : `?${kept.toString()}`;
  return {
    driverUri: `${driver}://${url.pathname}${query}`,
    socketPaths:
      socket === null
        ? defaultSocketPaths(driver, url.pathname, parameters.get("mode") ?? "auto", options)
        : [socket],
  };
}

function rejectRemote(driver: string, transport: string | undefined, host: string): void {
  const implied = transport ?? (host === "" ? "unix" : "tls");
  if (implied === "unix" && host === "") return;
  throw new RpcError(
    "RPC_UNSUPPORTED_TRANSPORT",
    implied === "unix"
      ? `A ${driver}+unix URI names a local socket and cannot have a host; use ${driver}:///system.`
      : `The transport "${implied}" is not supported; supported is "unix", as in ${driver}:///system.`,
  );
}

function defaultSocketPaths(
  driver: string,
  path: string,
  mode: string,
  options: ParseLibvirtUriOptions,
): readonly string[] {
  const session = path === "/session";
  const runtimeDirectory = options.runtimeDirectory ?? defaultRuntimeDirectory(session);
  // A session daemon has no read-only socket: its only user may do everything anyway.
  const suffix = options.readOnly === true && !session ? "sock-ro" : "sock";
  return daemonsOf(driver, mode).map((daemon) =>
    join(runtimeDirectory, "libvirt", `${daemon}-${suffix}`),
  );
}

function daemonsOf(driver: string, mode: string): readonly string[] {
  const modular = modularDaemons[driver];
  switch (mode) {
    case "auto":
      return modular === undefined ? ["libvirt"] : [modular, "libvirt"];
    case "direct":
      if (modular !== undefined) return [modular];
      throw new RpcError("RPC_INVALID_URI", `The driver "${driver}" has no daemon of its own.`);
    case "legacy":
      return ["libvirt"];
    default:
      throw new RpcError("RPC_INVALID_URI", "The URI's mode must be auto, direct or legacy.");
  }
}

function defaultRuntimeDirectory(session: boolean): string {
  if (!session) return "/run";
  return process.env["XDG_RUNTIME_DIR"] ?? `/run/user/${process.getuid?.() ?? 0}`;
}
