import { createConnection } from "node:net";
import type { Duplex } from "node:stream";

import { abortedError, RpcError } from "./rpc-error.ts";
import type { StreamFactory } from "./libvirt-transport.ts";

/**
 * A factory for unix sockets that takes the first path on which a daemon listens.
 *
 * The factory rejects with `RPC_CONNECT_FAILED` when no path works, naming each and why.
 */
export function unixSocketFactory(paths: readonly string[]): StreamFactory {
  return async ({ signal }) => {
    const failures: Error[] = [];
    for (const path of paths) {
      try {
        return await connectUnixSocket(path, signal);
      } catch (error) {
        if (signal.aborted) throw abortedError("Opening the connection", signal);
        failures.push(error as Error);
      }
    }
    const reasons = failures.map((failure) => failure.message).join("; ");
    throw new RpcError(
      "RPC_CONNECT_FAILED",
      `No libvirt daemon could be reached: ${reasons || "no socket path was given"}. ` +
        "Check that the daemon runs and that this user may open its socket.",
      { cause: failures[0] },
    );
  };
}

function connectUnixSocket(path: string, signal: AbortSignal): Promise<Duplex> {
  return new Promise((resolve, reject) => {
    const socket = createConnection({ path });
    const settle = (error?: Error): void => {
      signal.removeEventListener("abort", onAbort);
      socket.off("error", settle);
      if (error === undefined) return resolve(socket);
      socket.on("error", () => {});
      socket.destroy();
      reject(error);
    };
    const onAbort = (): void => settle(new Error("aborted"));
    signal.addEventListener("abort", onAbort, { once: true });
    socket.once("connect", () => settle());
    socket.once("error", settle);
    if (signal.aborted) onAbort();
  });
}
