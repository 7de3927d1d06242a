// Run inside the network namespace of a daemon: once the daemon listens on a TCP port, a unix socket
// appears that leads there.
import { once } from "node:events";
import { connect } from "node:net";
import process from "node:process";
import { setTimeout as delay } from "node:timers/promises";

import { startSocketRelay } from "./socket-relay.ts";

const [path = "", port = ""] = process.argv.slice(2);
const daemon = { host: "127.0.0.1", port: Number(port) };

async function isListening(): Promise<boolean> {
  const socket = connect(daemon);
  try {
    await once(socket, "connect");
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

while (!(await isListening())) await delay(50);
await startSocketRelay({ path }, daemon);
