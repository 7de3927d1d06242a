import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type ImageStoreFixture, imageStoreSuite } from "@polyvisor/core/conformance";
import { describeConformance } from "@polyvisor/core/conformance/vitest";
import { directoryImageStore } from "@polyvisor/image-tools";

async function open(): Promise<ImageStoreFixture> {
  const path = await mkdtemp(join(tmpdir(), "images-"));
  const files = new Map<string, Uint8Array>();
  const server = createServer(({ url = "" }, response) => {
    const file = files.get(url);
    if (file === undefined) response.writeHead(404).end();
    else response.writeHead(200, { "content-length": file.length }).end(file);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const imageStore = directoryImageStore({ path });
  await imageStore.open();
  return {
    imageStore,
    serve: async (file) => {
      const name = `/${files.size}.raw`;
      files.set(name, file);
      return `http://127.0.0.1:${port}${name}`;
    },
    async [Symbol.asyncDispose]() {
      await imageStore[Symbol.asyncDispose]();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      await rm(path, { recursive: true, force: true });
    },
  };
}

describeConformance("directory", imageStoreSuite, open);
