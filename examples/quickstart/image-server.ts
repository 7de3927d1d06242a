import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { pipeline } from "node:stream/promises";

/** A file behind a URL on loopback. */
export interface ImageServer extends AsyncDisposable {
  readonly url: string;
}

/** Serves one file on loopback, as a web server would. */
export async function serveImage(path: string): Promise<ImageServer> {
  const { size } = await stat(path);
  const server = createServer((request, response) => {
    response.writeHead(200, { "content-length": size, "content-type": "application/octet-stream" });
    if (request.method === "HEAD") response.end();
    // A client that has gone away is no error of the server.
    else pipeline(createReadStream(path), response).catch(() => {});
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, "127.0.0.1", resolve);
  });
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}/image.qcow2`,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
