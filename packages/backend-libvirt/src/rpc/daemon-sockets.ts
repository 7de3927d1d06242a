import { posix } from "node:path";
import process from "node:process";

import { RpcError } from "./rpc-error.ts";

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

/** What {@link daemonSocketPaths} needs to know. */
export interface DaemonSocketQuery {
  readonly driver: string;
  readonly mode: string;
  readonly readOnly: boolean;
  /** Folder that holds `libvirt/`. */
  readonly runtimeDirectory: string;
}

/** The sockets of a driver's daemons, in the order in which to try them. */
export function daemonSocketPaths(query: DaemonSocketQuery): readonly string[] {
  const suffix = query.readOnly ? "sock-ro" : "sock";
  return daemonsOf(query.driver, query.mode).map((daemon) =>
    posix.join(query.runtimeDirectory, "libvirt", `${daemon}-${suffix}`),
  );
}

/** Folder with the `libvirt/` of this machine's system daemons or of this user's session daemons. */
export function localRuntimeDirectory(session: boolean): string {
  if (!session) return "/run";
  return process.env["XDG_RUNTIME_DIR"] ?? `/run/user/${process.getuid?.() ?? 0}`;
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
