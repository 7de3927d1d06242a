import { once } from "node:events";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { hostSocketFactory } from "../../src/rpc/host-socket.ts";
import { parseLibvirtUri } from "../../src/rpc/index.ts";

let directory = "";
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "host-"));
});
afterEach(() => rm(directory, { recursive: true, force: true }));

const signal = new AbortController().signal;

/** What a server on a unix socket says to whoever comes. */
async function greeting(uri: string, path: string, listenAt: string): Promise<string> {
  await mkdir(dirname(listenAt), { recursive: true });
  const server = createServer((socket) => socket.end("RFB 003.008\n"));
  server.listen(listenAt);
  await once(server, "listening");
  try {
    const stream = await hostSocketFactory(parseLibvirtUri(uri).transport, path)({ signal });
    const [bytes] = (await once(stream, "data")) as [Buffer];
    stream.destroy();
    return bytes.toString();
  } finally {
    server.close();
  }
}

it("reaches a socket of this machine", async () => {
  const path = join(directory, "vnc.sock");
  expect(await greeting("qemu:///system", path, path)).toBe("RFB 003.008\n");
});

it("reaches a socket of a host whose files lie below a folder of this machine", async () => {
  const uri = `qemu+unix:///system?socket=${directory}/run/libvirt/libvirt-sock`;
  const path = "/var/lib/libvirt/qemu/domain-1-web/vnc.sock";
  expect(await greeting(uri, path, directory + path)).toBe("RFB 003.008\n");
});

it("says that nobody listens", async () => {
  const factory = hostSocketFactory(parseLibvirtUri("qemu:///system").transport, `${directory}/x`);
  await expect(factory({ signal })).rejects.toMatchObject({ code: "RPC_CONNECT_FAILED" });
});

it("does not get past the daemon of a host behind TLS", () => {
  const { transport } = parseLibvirtUri("qemu+tls://host/system");
  expect(() => hostSocketFactory(transport, "/vnc.sock")).toThrow(/through ssh/);
});
