import { createServer } from "node:net";
import process from "node:process";

/** Answers every byte with itself on the unix socket named on the command line. */
const server = createServer((socket) => {
  socket.on("error", () => {});
  socket.on("data", (chunk) => socket.write(chunk));
});
server.listen(process.argv[2], () => process.send?.("listening"));
