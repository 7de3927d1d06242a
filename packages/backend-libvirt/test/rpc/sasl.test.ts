import { execFile } from "node:child_process";
import { once } from "node:events";
import { copyFile, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { requireDebianPackages } from "../../src/lab/debian-packages.ts";
import {
  createConnectionPool,
  createStreamFactory,
  openConnection,
  parseLibvirtUri,
  procedures,
  type SaslCredentials,
} from "../../src/rpc/index.ts";
import { fakeError, type FakeHandlers } from "../../src/testing/fake-libvirtd.ts";
import { createCertificateAuthority } from "./certificates.ts";
import { startPrivateLibvirtd } from "./private-libvirtd.ts";
import { connect, forever, rejection, startDaemon, until } from "./support.ts";

const credentials: SaslCredentials = { username: "fred", password: "p,w=\u00e4 \u20ac" };

describe("libvirtd", { timeout: 120_000 }, () => {
  let directory: string;

  beforeAll(async () => {
    await requireDebianPackages([
      { package: "sasl2-bin", command: "/usr/sbin/saslpasswd2" },
      { package: "libsasl2-modules", command: "/usr/share/doc/libsasl2-modules" },
    ]);
    directory = await mkdtemp(join(tmpdir(), "sasl-"));
  }, 600_000);

  afterAll(() => rm(directory, { recursive: true, force: true }));

  /** A folder for /etc/sasl2 with one user. */
  async function writeSaslConfiguration(mechanisms: string): Promise<string> {
    const folder = await mkdtemp(join(directory, "sasl2-"));
    await writeFile(
      join(folder, "libvirt.conf"),
      `mech_list: ${mechanisms}\nsasldb_path: /etc/sasl2/users.db\n`,
    );
    const database = join(folder, "users.db");
    const options = ["-p", "-c", "-a", "libvirt", "-f", database, credentials.username];
    const program = execFile("/usr/sbin/saslpasswd2", options);
    program.stdin?.end(credentials.password);
    const [status] = await once(program, "exit");
    expect(status).toBe(0);
    return folder;
  }

  it.each(["SCRAM-SHA-1", "SCRAM-SHA-256", "SCRAM-SHA-512"])(
    "%s on the unix socket",
    async (name) => {
      const saslDirectory = await writeSaslConfiguration(name);
      await using daemon = await startPrivateLibvirtd({ saslDirectory });
      const asked: string[] = [];
      const target = { socketPath: daemon.socketPath, uri: "test:///default" };
      await using connection = await openConnection({
        ...target,
        saslCredentials: async ({ mechanism }) => {
          asked.push(mechanism);
          return credentials;
        },
      });
      expect(await connection.call(procedures.connectGetUri, {})).toEqual({
        uri: "test:///default",
      });
      expect(asked).toEqual([name]);

      for (const wrong of [{ password: "wrong" }, { username: "nobody" }]) {
        const saslCredentials = (): SaslCredentials => ({ ...credentials, ...wrong });
        const error = await rejection(openConnection({ ...target, saslCredentials }));
        expect(error).toMatchObject({ code: "RPC_AUTHENTICATION_FAILED" });
        expect(String(error)).toContain(name);
        expect(String(error)).not.toContain("wrong");
      }
      expect(await rejection(openConnection(target))).toMatchObject({
        code: "RPC_AUTHENTICATION_FAILED",
        message: expect.stringMatching(new RegExp(`${name}.*saslCredentials`)),
      });
    },
  );

  it("SCRAM-SHA-256 over TLS, for each connection of a pool", async () => {
    const authority = await createCertificateAuthority(join(directory, "authority"));
    const pkiDirectory = join(directory, "server");
    await mkdir(pkiDirectory);
    await copyFile(authority.certificatePath, join(pkiDirectory, "cacert.pem"));
    await authority.issue(pkiDirectory, "server", "127.0.0.1");
    const pki = await authority.issueClientDirectory(join(directory, "client"));
    const saslDirectory = await writeSaslConfiguration("SCRAM-SHA-256");
    await using daemon = await startPrivateLibvirtd({ pkiDirectory, saslDirectory });
    const { driverUri, transport } = parseLibvirtUri(
      `test+tls://127.0.0.1:${daemon.tlsPort}/default?pkipath=${pki}`,
    );
    await using pool = createConnectionPool({
      connect: createStreamFactory(transport),
      uri: driverUri,
      saslCredentials: () => credentials,
    });
    await pool.call(procedures.connectGetHostname, {});
    const { capabilities } = await pool.call(procedures.connectGetCapabilities, {});
    expect(capabilities).toContain("<capabilities>");
    expect(pool.size).toMatchObject({ control: 1, bulk: 1 });
  });

  it("with a mechanism that is not supported is named", async () => {
    const saslDirectory = await writeSaslConfiguration("DIGEST-MD5");
    await using daemon = await startPrivateLibvirtd({ saslDirectory });
    const opening = openConnection({
      socketPath: daemon.socketPath,
      uri: "test:///default",
      saslCredentials: () => credentials,
    });
    expect(await rejection(opening)).toMatchObject({
      code: "RPC_AUTHENTICATION_FAILED",
      message: expect.stringContaining("SASL with DIGEST-MD5; supported are SCRAM-SHA-512"),
    });
  });
});

describe("a daemon that asks for SASL", () => {
  const asking = (mechanisms: string, more: FakeHandlers = {}): FakeHandlers => ({
    authList: () => ({ types: [1] }),
    authSaslInit: () => ({ mechanisms }),
    ...more,
  });
  const saslCredentials = (): SaslCredentials => credentials;

  it.each([
    ["GSSAPI,PLAIN", "SASL with GSSAPI, PLAIN; supported are"],
    ["", "SASL with no mechanism at all; supported are"],
    ["SCRAM-SHA-256-PLUS", "SASL with SCRAM-SHA-256-PLUS; supported are"],
  ])("of %j is refused", async (mechanisms, problem) => {
    const daemon = await startDaemon({ handlers: asking(mechanisms) });
    expect(await rejection(connect(daemon, { saslCredentials }))).toMatchObject({
      code: "RPC_AUTHENTICATION_FAILED",
      message: expect.stringContaining(problem),
    });
    await until(() => daemon.clients.every((client) => client.closed));
    expect(daemon.calls).toEqual(["authList", "authSaslInit"]);
  });

  it("gets the best mechanism of several, and no password", async () => {
    const seen: unknown[] = [];
    const daemon = await startDaemon({
      handlers: asking("PLAIN SCRAM-SHA-1,SCRAM-SHA-512, SCRAM-SHA-256", {
        authSaslStart: ({ mechanism, isNull, data }) => {
          seen.push(mechanism, isNull, Buffer.from(data).toString().replace(/r=.*/, ""));
          throw fakeError(45, "authentication failed");
        },
      }),
    });
    const error = await rejection(connect(daemon, { saslCredentials }));
    expect(error).toMatchObject({
      code: "RPC_AUTHENTICATION_FAILED",
      message: expect.stringContaining("refused the SCRAM-SHA-512 user name or password"),
      cause: { code: "LIBVIRT_AUTH_FAILED" },
    });
    expect(seen).toEqual(["SCRAM-SHA-512", false, "n,,n=fred,"]);
  });

  it("does not get in by claiming that all is well", async () => {
    const reply = { complete: true, isNull: false, data: Buffer.from("v=AAAA") };
    const daemon = await startDaemon({
      handlers: asking("SCRAM-SHA-256", {
        authSaslStart: ({ data }) => {
          const [nonce = ""] = /r=.*/.exec(Buffer.from(data).toString()) ?? [];
          return { ...reply, data: Buffer.from(`${nonce}x,s=c2FsdA==,i=4096`) };
        },
        authSaslStep: () => reply,
      }),
    });
    expect(await rejection(connect(daemon, { saslCredentials }))).toMatchObject({
      code: "RPC_AUTHENTICATION_FAILED",
      message: expect.stringContaining("did not prove"),
    });
    expect(daemon.calls).not.toContain("connectOpen");
  });

  it("is not kept waiting for credentials after the deadline", async () => {
    const daemon = await startDaemon({ handlers: asking("SCRAM-SHA-256") });
    let given: AbortSignal | undefined;
    const opening = connect(daemon, {
      openDeadlineMs: 50,
      saslCredentials: ({ signal }) => {
        given = signal;
        return forever();
      },
    });
    expect(await rejection(opening)).toMatchObject({ code: "RPC_DEADLINE_EXCEEDED" });
    expect(given?.aborted).toBe(true);
    await until(() => daemon.clients.every((client) => client.closed));
  });

  it("sees the connection end when no credentials can be had", async () => {
    const daemon = await startDaemon({ handlers: asking("SCRAM-SHA-256") });
    const reason = new Error("the vault is closed");
    const opening = connect(daemon, { saslCredentials: () => Promise.reject(reason) });
    expect(await rejection(opening)).toBe(reason);
    await until(() => daemon.clients.every((client) => client.closed));
  });
});
