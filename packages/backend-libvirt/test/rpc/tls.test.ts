import { once } from "node:events";
import { copyFile, mkdir, mkdtemp, readFile, rm, unlink, writeFile } from "node:fs/promises";
import {
  connect,
  createServer as createTcpServer,
  type AddressInfo,
  type Server,
  type Socket,
} from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createServer, type TLSSocket } from "node:tls";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";

import {
  createConnectionPool,
  createStreamFactory,
  events,
  openConnection,
  parseLibvirtUri,
  procedures,
  type LibvirtConnection,
  type OpenConnectionOptions,
  type StreamFactoryOptions,
} from "../../src/rpc/index.ts";
import { startFakeLibvirtd } from "../../src/testing/fake-libvirtd.ts";
import { createCertificateAuthority, type CertificateAuthority } from "./certificates.ts";
import { startPrivateLibvirtd, type PrivateLibvirtd } from "./private-libvirtd.ts";
import { rejection } from "./support.ts";

let directory: string;
let authority: CertificateAuthority;
let stranger: CertificateAuthority;
let serverPki: string;
let clientPki: string;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "tls-"));
  authority = await createCertificateAuthority(join(directory, "authority"));
  stranger = await createCertificateAuthority(join(directory, "stranger"));
  serverPki = join(directory, "server");
  await mkdir(serverPki);
  await copyFile(authority.certificatePath, join(serverPki, "cacert.pem"));
  await authority.issue(serverPki, "server", "127.0.0.1");
  clientPki = await authority.issueClientDirectory(join(directory, "client"));
}, 60_000);

afterAll(() => rm(directory, { recursive: true, force: true }));

/** A copy of the client's folder for a test to change. */
async function clientCopy(): Promise<string> {
  const copy = await mkdtemp(join(directory, "copy-"));
  for (const name of ["cacert.pem", "clientcert.pem", "clientkey.pem"]) {
    await copyFile(join(clientPki, name), join(copy, name));
  }
  return copy;
}

function open(
  uri: string,
  options: Partial<OpenConnectionOptions> & StreamFactoryOptions = {},
): Promise<LibvirtConnection> {
  const { driverUri, transport } = parseLibvirtUri(uri);
  return openConnection({
    connect: createStreamFactory(transport, options),
    uri: driverUri,
    ...options,
  });
}

describe("libvirtd over TLS", { timeout: 60_000 }, () => {
  let daemon: PrivateLibvirtd;

  beforeAll(async () => {
    daemon = await startPrivateLibvirtd({ pkiDirectory: serverPki });
  }, 60_000);

  afterAll(() => daemon[Symbol.asyncDispose]());

  const uri = (pkiPath: string, host = "127.0.0.1"): string =>
    `test+tls://${host}:${daemon.tlsPort}/default?pkipath=${pkiPath}`;

  it("answers, sends events and serves a pool", async () => {
    await using connection = await open(uri(clientPki));
    expect(await connection.call(procedures.connectGetUri, {})).toEqual({ uri: "test:///default" });
    await using subscription = await connection.subscribe(events.domainLifecycle);
    const { domain } = await connection.call(procedures.domainLookupByName, { name: "test" });
    await connection.call(procedures.domainSuspend, { domain });
    const { value } = await subscription[Symbol.asyncIterator]().next();
    expect(value).toMatchObject({ event: { domain: { name: "test" }, event: 3 } });

    const { driverUri, transport } = parseLibvirtUri(uri(clientPki));
    await using pool = createConnectionPool({
      connect: createStreamFactory(transport),
      uri: driverUri,
    });
    const { capabilities } = await pool.call(procedures.connectGetCapabilities, {});
    expect(capabilities).toContain("<capabilities>");
    expect(pool.size).toMatchObject({ bulk: 1 });
  });

  it("takes the certificates from the user's folder, then from the machine's", async () => {
    const system = await mkdtemp(join(directory, "system-"));
    await mkdir(join(system, "CA"));
    await mkdir(join(system, "libvirt", "private"), { recursive: true });
    const user = await mkdtemp(join(directory, "user-"));
    const plain = `test+tls://127.0.0.1:${daemon.tlsPort}/default`;
    const tlsCredentialPlaces = { userDirectory: user, systemDirectory: system };
    expect(await rejection(open(plain, { tlsCredentialPlaces }))).toMatchObject({
      code: "RPC_CONNECT_FAILED",
      message: expect.stringMatching(/user-.*cacert\.pem or .*CA\/cacert\.pem is missing/),
    });

    await copyFile(authority.certificatePath, join(system, "CA", "cacert.pem"));
    await copyFile(join(clientPki, "clientcert.pem"), join(system, "libvirt", "clientcert.pem"));
    expect(await rejection(open(plain, { tlsCredentialPlaces }))).toMatchObject({
      code: "RPC_CONNECT_FAILED",
      message: expect.stringContaining("private/clientkey.pem is missing"),
    });
    const key = join(system, "libvirt", "private", "clientkey.pem");
    await copyFile(join(clientPki, "clientkey.pem"), key);
    await using fromSystem = await open(plain, { tlsCredentialPlaces });
    expect(fromSystem.endReason).toBeUndefined();

    await copyFile(stranger.certificatePath, join(user, "cacert.pem"));
    expect(await rejection(open(plain, { tlsCredentialPlaces }))).toMatchObject({
      code: "RPC_CONNECT_FAILED",
      message: expect.stringMatching(/not trusted.*user-.*cacert\.pem/),
    });
  });

  it("does not trust a daemon of another authority", async () => {
    const pki = await stranger.issueClientDirectory(join(directory, "wrong-ca"), authority);
    expect(await rejection(open(uri(pki)))).toMatchObject({
      code: "RPC_CONNECT_FAILED",
      message: expect.stringContaining("is not trusted"),
    });
  });

  it("does not trust a certificate for another name", async () => {
    expect(await rejection(open(uri(clientPki, "localhost")))).toMatchObject({
      code: "RPC_CONNECT_FAILED",
      message: expect.stringMatching(/is not trusted.*for the name "localhost"/),
    });
  });

  it("does not trust a certificate that was revoked", async () => {
    const pki = await clientCopy();
    await authority.writeRevocationList(join(pki, "cacrl.pem"));
    await using connection = await open(uri(pki));
    expect(connection.endReason).toBeUndefined();
    await authority.writeRevocationList(join(pki, "cacrl.pem"), join(serverPki, "servercert.pem"));
    expect(await rejection(open(uri(pki)))).toMatchObject({
      code: "RPC_CONNECT_FAILED",
      message: expect.stringMatching(/is not trusted: .*revoked/),
    });
  });

  it("says that the daemon refused the certificate of another authority", async () => {
    const pki = await authority.issueClientDirectory(join(directory, "refused"), stranger);
    expect(await rejection(open(uri(pki)))).toMatchObject({
      code: "RPC_AUTHENTICATION_FAILED",
      message: expect.stringMatching(/refused this client's TLS certificate.*clientcert\.pem/),
    });
  });

  it("says that the daemon wants a certificate when there is none", async () => {
    const user = await mkdtemp(join(directory, "user-"));
    await copyFile(authority.certificatePath, join(user, "cacert.pem"));
    const places = { userDirectory: user, systemDirectory: join(user, "none") };
    const refusal = open(`test+tls://127.0.0.1:${daemon.tlsPort}/default`, {
      tlsCredentialPlaces: places,
    });
    expect(await rejection(refusal)).toMatchObject({
      code: "RPC_AUTHENTICATION_FAILED",
      message: expect.stringMatching(/there is none at .*clientcert\.pem/),
    });
  });
});

describe("certificates", () => {
  it.each(["cacert.pem", "clientcert.pem", "clientkey.pem"])("pkipath needs %s", async (name) => {
    const pki = await clientCopy();
    await unlink(join(pki, name));
    expect(await rejection(open(`test+tls://127.0.0.1:9/default?pkipath=${pki}`))).toMatchObject({
      code: "RPC_CONNECT_FAILED",
      message: expect.stringContaining(`${join(pki, name)} is missing`),
    });
  });

  it("names the files that are none, and those that cannot be read", async () => {
    const pki = await clientCopy();
    await writeFile(join(pki, "clientkey.pem"), "nonsense");
    const uri = `test+tls://127.0.0.1:9/default?pkipath=${pki}`;
    expect(await rejection(open(uri))).toMatchObject({
      code: "RPC_CONNECT_FAILED",
      message: expect.stringMatching(/clientcert\.pem\) cannot be used/),
    });
    await unlink(join(pki, "clientkey.pem"));
    await mkdir(join(pki, "clientkey.pem"));
    expect(await rejection(open(uri))).toMatchObject({
      code: "RPC_CONNECT_FAILED",
      message: expect.stringMatching(/clientkey\.pem, which TLS needs, cannot be read/),
    });
  });
});

/** Serves TLS as the daemon does, up to what follows its handshake. */
async function serveTls(onSecured: (socket: TLSSocket) => void): Promise<string> {
  const server = createServer(
    {
      ca: await readFile(join(serverPki, "cacert.pem")),
      cert: await readFile(join(serverPki, "servercert.pem")),
      key: await readFile(join(serverPki, "serverkey.pem")),
    },
    (socket) => {
      socket.on("error", () => {});
      onSecured(socket);
    },
  );
  return `test+tls://127.0.0.1:${await listen(server)}/default?pkipath=${clientPki}`;
}

async function listen(server: Server): Promise<number> {
  const sockets = new Set<Socket>();
  server.on("connection", (socket: Socket) => sockets.add(socket));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  return (server.address() as AddressInfo).port;
}

describe("the handshake", () => {
  it("takes data that comes along with the daemon's consent", async () => {
    const uri = await serveTls((socket) => socket.write("\x01more"));
    const stream = await createStreamFactory(parseLibvirtUri(uri).transport)({
      signal: AbortSignal.timeout(10_000),
    });
    const [chunk] = await once(stream, "data");
    expect(String(chunk)).toBe("more");
    stream.destroy();
  });

  it.each([
    ["another byte", (socket: TLSSocket) => socket.write("\x00")],
    ["the end", (socket: TLSSocket) => socket.end()],
    ["a sudden end", (socket: TLSSocket) => socket.destroy()],
  ])("takes %s for a refusal", async (_what, answer) => {
    const uri = await serveTls(answer);
    expect(await rejection(open(uri))).toMatchObject({ code: "RPC_AUTHENTICATION_FAILED" });
  });

  it("waits for the consent no longer than its deadline and signal allow", async () => {
    const uri = await serveTls(() => {});
    expect(await rejection(open(uri, { openDeadlineMs: 200 }))).toMatchObject({
      code: "RPC_DEADLINE_EXCEEDED",
    });
    const signal = AbortSignal.timeout(100);
    expect(await rejection(open(uri, { signal }))).toMatchObject({ code: "RPC_ABORTED" });
  });

  it("says that nothing listens, or nothing that speaks TLS", async () => {
    const server = createTcpServer((socket) => socket.end("hello").resume());
    const port = await listen(server);
    const uri = `test+tls://127.0.0.1:${port}/default?pkipath=${clientPki}`;
    expect(await rejection(open(uri))).toMatchObject({
      code: "RPC_CONNECT_FAILED",
      message: expect.stringContaining("could not be reached over TLS"),
    });
    server.close();
    await once(server, "close");
    expect(await rejection(open(uri))).toMatchObject({
      code: "RPC_CONNECT_FAILED",
      message: expect.stringContaining("ECONNREFUSED"),
    });
  });

  it("says that the daemon ended the handshake", async () => {
    const server = createTcpServer((socket) => {
      socket.on("error", () => {});
      socket.once("data", () => socket.end());
    });
    const uri = `test+tls://127.0.0.1:${await listen(server)}/default?pkipath=${clientPki}`;
    expect(await rejection(open(uri))).toMatchObject({ code: "RPC_CONNECT_FAILED" });
  });

  it("reports the loss of the connection later on", async () => {
    const fake = await startFakeLibvirtd({ socketPath: join(directory, "fake") });
    const sockets: TLSSocket[] = [];
    const uri = await serveTls((socket) => {
      sockets.push(socket);
      socket.write("\x01");
      socket
        .pipe(connect(fake.socketPath))
        .on("error", () => {})
        .pipe(socket);
    });
    const connection = await open(uri);
    sockets[0]?.destroy();
    expect(await connection.ended).toMatchObject({ code: "RPC_CONNECTION_LOST" });
    await fake[Symbol.asyncDispose]();
  });
});
