import { once } from "node:events";
import {
  connect,
  createServer,
  type ListenOptions,
  type NetConnectOpts,
  type Socket,
} from "node:net";

/** Forwards connections to another address. */
export interface SocketRelay extends AsyncDisposable {
  /** The TCP port, when it listens on one. */
  readonly port: number;
}

/** Listens at one address and forwards every connection to another, ends and failures included. */
export async function startSocketRelay(
  from: ListenOptions,
  to: NetConnectOpts,
): Promise<SocketRelay> {
  const sockets = new Set<Socket>();
  const server = createServer((incoming) => {
    const outgoing = connect(to);
    for (const [one, other] of [
      [incoming, outgoing],
      [outgoing, incoming],
    ] as const) {
      sockets.add(one);
      one.pipe(other);
      one.on("error", () => other.destroy());
      one.on("close", () => {
        sockets.delete(one);
        other.end();
      });
    }
  });
  server.listen(from);
  await once(server, "listening");
  const address = server.address();
  return {
    port: typeof address === "object" && address !== null ? address.port : 0,
    async [Symbol.asyncDispose]() {
      const closed = once(server, "close");
      server.close();
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}
