import { randomBytes } from "node:crypto";
import { dirname } from "node:path";
import process from "node:process";
import { setTimeout as delay } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";

import { requireDebianPackages } from "../../src/lab/debian-packages.ts";
import {
  createConnectionPool,
  createStreamFactory,
  downloadVolume,
  openConnection,
  parseLibvirtUri,
  procedures,
  uploadVolume,
  type LibvirtConnection,
  type OpenConnectionOptions,
  type StreamItem,
} from "../../src/rpc/index.ts";
import { startPrivateLibvirtd, type PrivateLibvirtd } from "./private-libvirtd.ts";
import { freePort, startPrivateSshd, type PrivateSshd } from "./private-sshd.ts";
import { isAlive, rejection, until } from "./support.ts";

let libvirtd: PrivateLibvirtd;
let sshd: PrivateSshd;

beforeAll(async () => {
  await requireDebianPackages([
    { package: "openssh-server", command: "sshd" },
    { package: "openssh-client", command: "ssh" },
    { package: "netcat-openbsd", command: "nc.openbsd" },
  ]);
  libvirtd = await startPrivateLibvirtd();
  sshd = await startPrivateSshd(dirname(libvirtd.socketPath));
}, 600_000);

afterAll(async () => {
  await sshd[Symbol.asyncDispose]();
  await libvirtd[Symbol.asyncDispose]();
});

beforeEach(() => {
  vi.stubEnv("PATH", sshd.path);
});

afterEach(async () => {
  vi.unstubAllEnvs();
  await sshd.setKnownHost("right");
  const clients = await sshd.clients();
  await until(() => clients.every((pid) => !isAlive(pid)));
});

function uri(parameters = "", port = sshd.port): string {
  return `test+ssh://root@127.0.0.1:${port}/default?keyfile=${sshd.keyPath}${parameters}`;
}

function open(
  given: string,
  options: Partial<OpenConnectionOptions> = {},
): Promise<LibvirtConnection> {
  const { driverUri, transport } = parseLibvirtUri(given, { readOnly: options.readOnly ?? false });
  return openConnection({ connect: createStreamFactory(transport), uri: driverUri, ...options });
}

describe("libvirtd over ssh", { timeout: 60_000 }, () => {
  it.each([
    ["virt-ssh-helper", () => uri()],
    ["virt-ssh-helper alone", () => uri("&proxy=native")],
    ["netcat", () => uri("&proxy=netcat")],
    ["netcat where there is no virt-ssh-helper", () => uri("", sshd.portWithoutHelper)],
    ["netcat of another name", () => uri("&proxy=netcat&netcat=/usr/bin/nc.openbsd")],
    ["a socket", () => uri(`&socket=${libvirtd.socketPath}`)],
  ])("answers through %s", async (_what, given) => {
    await using connection = await open(given());
    expect(await connection.call(procedures.connectGetUri, {})).toEqual({ uri: "test:///default" });
  });

  it.each(["native", "netcat"])("opens read-only with proxy=%s", async (proxy) => {
    await using connection = await open(uri(`&proxy=${proxy}`), { readOnly: true });
    const { domain } = await connection.call(procedures.domainLookupByName, { name: "test" });
    const refusal = connection.call(procedures.domainDestroyFlags, { domain, flags: 0 });
    expect(await rejection(refusal)).toMatchObject({ code: "LIBVIRT_OPERATION_DENIED" });
  });

  it("serves a pool, and carries many answers at once", async () => {
    const { driverUri, transport } = parseLibvirtUri(uri());
    const connect = createStreamFactory(transport);
    await using pool = createConnectionPool({ connect, uri: driverUri });
    const answers = Array.from({ length: 50 }, () =>
      pool.call(procedures.connectGetCapabilities, {}),
    );
    for (const { capabilities } of await Promise.all(answers)) {
      expect(capabilities).toContain("<capabilities>");
    }
    await pool.dedicated();
    expect((await sshd.clients()).filter((pid) => isAlive(pid)).length).toBeGreaterThan(1);
  });

  it("carries a volume both ways, also to a slow reader", async () => {
    await using connection = await open(uri("&name=qemu:///system"), { dedicated: true });
    const { pool } = await connection.call(procedures.storagePoolCreateXml, {
      xml: `<pool type="dir"><name>ssh</name><target><path>${libvirtd.directory}/pool</path></target></pool>`,
      flags: 0,
    });
    const { volume } = await connection.call(procedures.storageVolCreateXml, {
      pool,
      xml: `<volume><name>disk.raw</name><capacity unit="MiB">16</capacity><target><format type="raw"/></target></volume>`,
      flags: 0,
    });
    const sent = randomBytes(16 * 1_048_576);
    const data: StreamItem = { type: "data", bytes: sent };
    await uploadVolume(connection, { volume }, ReadableStream.from([data]));
    const received: Uint8Array[] = [];
    for await (const item of downloadVolume(connection, { volume, sparse: false })) {
      if (item.type === "data") received.push(item.bytes);
      if (received.length % 16 === 0) await delay(10);
    }
    expect(Buffer.concat(received).equals(sent)).toBe(true);
  });

  it("ends ssh when the connection is closed, and says when ssh ended by itself", async () => {
    const before = (await sshd.clients()).length;
    const closed = await open(uri());
    const lost = await open(uri());
    const [first, second] = (await sshd.clients()).slice(before);
    expect([first, second].map((pid) => isAlive(pid!))).toEqual([true, true]);
    await closed.close();
    await until(() => !isAlive(first!));
    expect(isAlive(second!)).toBe(true);
    process.kill(second!, "SIGKILL");
    expect(await lost.ended).toMatchObject({
      code: "RPC_CONNECTION_LOST",
      message: expect.stringContaining("ended by SIGKILL"),
    });
  });

  it("accepts an unknown host only when the URI says so", async () => {
    await sshd.setKnownHost("none");
    expect(await rejection(open(uri()))).toMatchObject({
      code: "RPC_CONNECT_FAILED",
      message: expect.stringContaining("Host key verification failed"),
    });
    await using connection = await open(uri("&no_verify=1"));
    expect(connection.endReason).toBeUndefined();
  });

  it("refuses a host whose key is not the one that ssh knows", async () => {
    await sshd.setKnownHost("wrong");
    expect(await rejection(open(uri()))).toMatchObject({
      code: "RPC_CONNECT_FAILED",
      message: expect.stringContaining("Host key verification failed"),
    });
  });
});

describe("failures", { timeout: 60_000 }, () => {
  it("says what ssh said about a port where nothing listens", async () => {
    expect(await rejection(open(uri("", await freePort())))).toMatchObject({
      code: "RPC_CONNECT_FAILED",
      message: expect.stringMatching(/ssh to 127\.0\.0\.1 ended with the status 255.*refused/),
    });
  });

  it("says what ssh said about a key that is not let in", async () => {
    const given = `test+ssh://root@127.0.0.1:${sshd.port}/default?keyfile=${sshd.otherKeyPath}`;
    expect(await rejection(open(given))).toMatchObject({
      code: "RPC_CONNECT_FAILED",
      message: expect.stringContaining("Permission denied (publickey)"),
    });
  });

  it.each([
    ["&proxy=netcat&netcat=missing-nc", /missing-nc.*not found/],
    ["&socket=/nonexistent/sock", /nonexistent\/sock.*No such file/],
    ["&proxy=native", /virt-ssh-helper.*not found/],
  ])("says what the other machine said about %s", async (parameters, said) => {
    const port = parameters.includes("native") ? sshd.portWithoutHelper : sshd.port;
    expect(await rejection(open(uri(parameters, port)))).toMatchObject({
      code: "RPC_CONNECT_FAILED",
      message: expect.stringMatching(said),
    });
  });

  it("says that a session daemon needs virt-ssh-helper", async () => {
    const given = uri("", sshd.portWithoutHelper).replace("/default", "/session");
    expect(await rejection(open(given))).toMatchObject({
      code: "RPC_CONNECT_FAILED",
      message: expect.stringContaining("virt-ssh-helper was not found"),
    });
  });

  it("says that there is no ssh", async () => {
    vi.stubEnv("PATH", "/nonexistent");
    expect(await rejection(open(uri()))).toMatchObject({
      code: "RPC_CONNECT_FAILED",
      message: expect.stringContaining("ssh could not be started"),
    });
  });

  it("gives up on a signal and at its deadline, and leaves no ssh behind", async () => {
    const babbling = uri(`&proxy=netcat&netcat=${sshd.babblingNetcat}`);
    const silent = uri(`&proxy=netcat&netcat=${sshd.silentNetcat}`);
    expect(await rejection(open(babbling))).toMatchObject({ code: "RPC_PROTOCOL" });
    const signal = AbortSignal.timeout(1);
    expect(await rejection(open(silent, { signal }))).toMatchObject({ code: "RPC_ABORTED" });
    expect(await rejection(open(silent, { openDeadlineMs: 1000 }))).toMatchObject({
      code: "RPC_DEADLINE_EXCEEDED",
    });
  });
});
