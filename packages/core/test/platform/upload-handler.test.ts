import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { PolyvisorError, uploadHandler } from "@polyvisor/core";
import { describe, expect, it } from "vitest";

interface Served extends AsyncDisposable {
  readonly origin: string;
  /** What came in, by token. */
  readonly received: Map<string, string>;
}

/** Serves uploads; tokens say how they end. */
async function serve(): Promise<Served> {
  const received = new Map<string, string>();
  const handle = uploadHandler({
    receiveUpload: async (token, { content, sizeBytes }) => {
      if (token === "gone") throw new PolyvisorError("POLYVISOR_NOT_FOUND", "nothing waits for it");
      if (token === "busy") throw new PolyvisorError("POLYVISOR_CONFLICT", "it is being sent");
      const pieces: Uint8Array[] = [];
      for await (const piece of content) pieces.push(piece);
      received.set(token, `${Buffer.concat(pieces).toString()} ${sizeBytes}`);
      if (token === "bad") throw new Error("the checksum is another one");
    },
  });
  const server = createServer((request, response) => void handle(request, response));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    received,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

describe("uploadHandler", () => {
  it.each([
    ["PUT", "/upload/token", 200, "imported\n"],
    ["POST", "/upload/token?x=1", 200, "imported\n"],
    ["PUT", "/upload/gone", 404, "nothing waits for it\n"],
    ["PUT", "/upload/busy", 409, "it is being sent\n"],
    ["PUT", "/upload/bad", 400, "the checksum is another one\n"],
    ["DELETE", "/upload/token", 405, "send the file with PUT\n"],
    ["PUT", "/upload/../secret", 404, "there is nothing at this address\n"],
    ["PUT", "/upload/", 404, "there is nothing at this address\n"],
  ])("answers %s %s with %d", async (method, path, status, text) => {
    await using served = await serve();
    const sent = { method, body: "boot" };
    const response = await fetch(`${served.origin}${path}`, sent);
    expect(response.status).toBe(status);
    expect(await response.text()).toBe(text);
    if (status === 200) expect(served.received.get("token")).toBe("boot 4");
  });
});
