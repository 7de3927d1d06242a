// Serves one file with ranges at a limited speed a connection: `slow-server.ts FILE BYTES_PER_SECOND`.
import { createReadStream, statSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

const [path = "", speed = ""] = process.argv.slice(2);
const bytesPerSecond = Number(speed);
const { size } = statSync(path);

const server = createServer((request, response) => {
  void (async () => {
    const range = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? "");
    const start = range === null ? 0 : Number(range[1]);
    const end = range?.[2] === undefined || range[2] === "" ? size - 1 : Number(range[2]);
    response.statusCode = range === null ? 200 : 206;
    response.setHeader("accept-ranges", "bytes");
    response.setHeader("etag", '"one"');
    response.setHeader("content-length", end - start + 1);
    if (range !== null) response.setHeader("content-range", `bytes ${start}-${end}/${size}`);
    if (request.method === "HEAD") return response.end();
    const { socket } = request;
    for await (const chunk of createReadStream(path, { start, end, highWaterMark: 256 * 1024 })) {
      // The allowance belongs to the connection, over all of its requests.
      const paid = nextFree.get(socket) ?? performance.now();
      const free = Math.max(paid, performance.now());
      nextFree.set(socket, free + ((chunk as Buffer).length * 1000) / bytesPerSecond);
      if (!response.write(chunk)) await new Promise((resolve) => response.once("drain", resolve));
      await sleep(Math.max(0, (nextFree.get(socket) ?? 0) - performance.now()));
      if (response.destroyed) return undefined;
    }
    return response.end();
  })();
});
const nextFree = new WeakMap<object, number>();
server.listen(0, "127.0.0.1", () => {
  console.log((server.address() as AddressInfo).port);
});
