import { connect as connectSocket } from "node:net";
import { PassThrough } from "node:stream";
import { setTimeout as delay } from "node:timers/promises";
import { describe, expect, it } from "vitest";

import {
  isNotFoundError,
  isUnsupportedError,
  openConnection,
  procedures,
  RpcError,
} from "../../src/rpc/index.ts";
import { fakeError } from "../../src/testing/fake-libvirtd.ts";
import { connect, forever, rejection, someDomain, startDaemon, until } from "./support.ts";

const state = { domain: someDomain, flags: 0 };

describe("opening", () => {
  it("greets the daemon in the order of libvirt's own client", async () => {
    const opened: unknown[] = [];
    const daemon = await startDaemon({
      handlers: {
        connectOpen: (args) => {
          opened.push(args);
          return {};
        },
        connectSupportsFeature: ({ feature }) => ({ supported: feature === 10 }),
      },
    });
    await connect(daemon, { uri: "qemu:///system", readOnly: true });
    expect(daemon.calls).toEqual(["authList", "connectSupportsFeature", "connectOpen"]);
    expect(opened).toEqual([{ name: "qemu:///system", flags: 1 }]);
  });

  it("does not arm the daemon's pings for a dedicated connection", async () => {
    const daemon = await startDaemon();
    await connect(daemon, { dedicated: true });
    expect(daemon.calls).toEqual(["authList", "connectOpen"]);
  });

  it("takes the first socket that answers", async () => {
    const daemon = await startDaemon();
    const socketPath = [`${daemon.socketPath}-missing`, daemon.socketPath];
    const connection = await connect(daemon, { socketPath });
    expect(await connection.call(procedures.connectGetHostname, {})).toEqual({ hostname: "fake" });
  });

  it("names every socket that did not answer", async () => {
    const error = await rejection(
      openConnection({ socketPath: ["/nonexistent/a", "/nonexistent/b"], uri: "qemu:///system" }),
    );
    expect(error).toMatchObject({
      code: "RPC_CONNECT_FAILED",
      message: expect.stringMatching(/nonexistent\/a.*nonexistent\/b/),
    });
  });

  it("takes a stream factory instead of a path", async () => {
    const daemon = await startDaemon();
    const connection = await openConnection({
      connect: async () => connectSocket(daemon.socketPath),
      uri: "test:///default",
    });
    expect(await connection.call(procedures.connectGetHostname, {})).toEqual({ hostname: "fake" });
    await connection.close();
  });

  it("fails at once when the stream has already ended", async () => {
    const stream = new PassThrough();
    stream.destroy();
    const opening = openConnection({ connect: async () => stream, uri: "test:///default" });
    expect(await rejection(opening)).toMatchObject({ code: "RPC_CONNECTION_LOST" });
  });

  it("ends for the reason that the stream gives", async () => {
    const daemon = await startDaemon();
    const stream = connectSocket(daemon.socketPath);
    const connection = await openConnection({
      connect: async () => stream,
      uri: "test:///default",
    });
    const reason = new RpcError("RPC_CONNECT_FAILED", "the tunnel collapsed");
    stream.destroy(reason);
    expect(await connection.ended).toBe(reason);
  });

  it("uses polkit when the daemon asks for it", async () => {
    const daemon = await startDaemon({
      handlers: { authList: () => ({ types: [2] }), authPolkit: () => ({ complete: true }) },
    });
    await connect(daemon);
    expect(daemon.calls.slice(0, 2)).toEqual(["authList", "authPolkit"]);
  });

  it.each([
    ["an unknown authentication is demanded", { authList: () => ({ types: [7] }) }],
    [
      "polkit refuses",
      { authList: () => ({ types: [2] }), authPolkit: () => ({ complete: false }) },
    ],
  ])("fails when %s", async (_what, handlers) => {
    const daemon = await startDaemon({ handlers });
    expect(await rejection(connect(daemon))).toMatchObject({ code: "RPC_AUTHENTICATION_FAILED" });
    await until(() => daemon.clients.every((client) => client.closed));
  });

  it("passes on why the daemon refuses the URI and leaves no connection behind", async () => {
    const daemon = await startDaemon({
      handlers: {
        connectOpen: () => {
          throw fakeError(5, "no connection driver available for nope:///");
        },
      },
    });
    expect(await rejection(connect(daemon))).toMatchObject({ code: "LIBVIRT_NO_CONNECT" });
    await until(() => daemon.clients.every((client) => client.closed));
  });

  it("gives up at its deadline and on a signal", async () => {
    const daemon = await startDaemon({ handlers: { connectOpen: forever } });
    expect(await rejection(connect(daemon, { openDeadlineMs: 50 }))).toMatchObject({
      code: "RPC_DEADLINE_EXCEEDED",
    });
    const signal = AbortSignal.timeout(50);
    expect(await rejection(connect(daemon, { signal }))).toMatchObject({ code: "RPC_ABORTED" });
    const aborted = AbortSignal.abort();
    expect(await rejection(connect(daemon, { signal: aborted }))).toMatchObject({
      code: "RPC_ABORTED",
    });
    await until(() => daemon.clients.every((client) => client.closed));
    expect(daemon.clients).toHaveLength(2);
  });

  it("refuses more calls in flight than a daemon can bear", async () => {
    const daemon = await startDaemon();
    expect(await rejection(connect(daemon, { maxInFlight: 5 }))).toMatchObject({
      code: "RPC_INVALID_ARGUMENT",
    });
  });
});

describe("calling", () => {
  it("returns typed results and sends typed arguments", async () => {
    const daemon = await startDaemon({
      handlers: {
        domainGetState: ({ domain, flags }) => ({ state: domain.id, reason: flags }),
      },
    });
    const connection = await connect(daemon);
    const result = await connection.call(procedures.domainGetState, {
      domain: someDomain,
      flags: 3,
    });
    expect(result).toEqual({ state: 7, reason: 3 });
  });

  it("turns an error reply into a LibvirtError with everything the daemon said", async () => {
    const daemon = await startDaemon({
      handlers: {
        domainGetState: () => {
          throw fakeError(42, "Domain not found: no domain 'web'");
        },
      },
    });
    const connection = await connect(daemon);
    const error = await rejection(connection.call(procedures.domainGetState, state));
    expect(error).toMatchObject({
      code: "LIBVIRT_NO_DOMAIN",
      number: 42,
      domain: 10,
      message: "domainGetState failed: Domain not found: no domain 'web'",
      fields: { message: "Domain not found: no domain 'web'", level: 2, int1: -1 },
    });
    expect(isNotFoundError(error)).toBe(true);
    const unknown = await rejection(connection.call(procedures.domainReset, state));
    expect(isUnsupportedError(unknown)).toBe(true);
  });

  it("matches replies that come out of order", async () => {
    const waiting: (() => void)[] = [];
    const daemon = await startDaemon({
      handlers: {
        domainLookupByName: async ({ name }) => {
          await new Promise<void>((resolve) => waiting.push(resolve));
          return { domain: { ...someDomain, name } };
        },
      },
    });
    const connection = await connect(daemon);
    const names = ["a", "b", "c", "d"];
    const results = names.map((name) => connection.call(procedures.domainLookupByName, { name }));
    await until(() => waiting.length === 4);
    for (const release of waiting.toReversed()) release();
    const found = await Promise.all(results);
    expect(found.map(({ domain }) => domain.name)).toEqual(names);
  });

  it("keeps at most four calls in flight and serves the others in order", async () => {
    const order: string[] = [];
    const daemon = await startDaemon({
      handlers: {
        domainLookupByName: async ({ name }) => {
          order.push(name);
          await delay(1);
          return { domain: { ...someDomain, name } };
        },
      },
    });
    const connection = await connect(daemon);
    const names = Array.from({ length: 40 }, (_value, index) => `n${index}`);
    const calls = names.map((name) => connection.call(procedures.domainLookupByName, { name }));
    expect(connection.load).toEqual({ inFlight: 4, queued: 36, abandoned: 0 });
    await Promise.all(calls);
    expect(order).toEqual(names);
    expect(daemon.clients[0]?.calls.most).toBe(4);
    expect(connection.load).toEqual({ inFlight: 0, queued: 0, abandoned: 0 });
  });

  it("bounds its queue", async () => {
    const daemon = await startDaemon({ handlers: { domainGetState: forever } });
    const connection = await connect(daemon, { maxQueued: 2 });
    const calls = Array.from({ length: 6 }, () =>
      rejection(connection.call(procedures.domainGetState, state)),
    );
    expect(await rejection(connection.call(procedures.domainGetState, state))).toMatchObject({
      code: "RPC_QUEUE_FULL",
    });
    await connection.close();
    for (const error of await Promise.all(calls))
      expect(error).toMatchObject({ code: "RPC_CLOSED" });
  });

  it("rejects arguments that cannot be sent and stays usable", async () => {
    const daemon = await startDaemon();
    const connection = await connect(daemon);
    const error = await rejection(
      connection.call(procedures.domainLookupByUuid, { uuid: "not-a-uuid" }),
    );
    expect(error).toMatchObject({ code: "RPC_INVALID_ARGUMENT" });
    expect(await connection.call(procedures.connectGetHostname, {})).toEqual({ hostname: "fake" });
  });
});

describe("giving up", () => {
  it("rejects at the deadline but keeps the slot until the reply comes", async () => {
    const release = Promise.withResolvers<void>();
    const daemon = await startDaemon({
      handlers: {
        domainGetState: async () => {
          await release.promise;
          return { state: 1, reason: 1 };
        },
      },
    });
    const connection = await connect(daemon);
    const stuck = Array.from({ length: 4 }, () =>
      rejection(connection.call(procedures.domainGetState, state, { deadlineMs: 30 })),
    );
    for (const error of await Promise.all(stuck)) {
      expect(error).toMatchObject({ code: "RPC_DEADLINE_EXCEEDED" });
    }
    expect(connection.load).toEqual({ inFlight: 4, queued: 0, abandoned: 4 });
    const next = connection.call(procedures.connectGetHostname, {});
    expect(connection.load.queued).toBe(1);
    release.resolve();
    expect(await next).toEqual({ hostname: "fake" });
    await until(() => connection.load.inFlight === 0);
    expect(connection.load.abandoned).toBe(0);
    expect(connection.endReason).toBeUndefined();
  });

  it("uses the connection's deadline, and none when told so", async () => {
    const daemon = await startDaemon({ handlers: { domainGetState: forever } });
    const connection = await connect(daemon, { defaultDeadlineMs: 30 });
    const patient = rejection(
      connection.call(procedures.domainGetState, state, { deadlineMs: Infinity }),
    );
    expect(await rejection(connection.call(procedures.domainGetState, state))).toMatchObject({
      code: "RPC_DEADLINE_EXCEEDED",
    });
    expect(connection.load).toMatchObject({ inFlight: 2, abandoned: 1 });
    await connection.close();
    expect(await patient).toMatchObject({ code: "RPC_CLOSED" });
  });

  it("takes a deadline beyond what a timer can hold for none", async () => {
    const connection = await connect(await startDaemon());
    const options = { deadlineMs: 2 ** 40 };
    expect(await connection.call(procedures.connectGetHostname, {}, options)).toEqual({
      hostname: "fake",
    });
  });

  it("rejects at once when the signal fires, with its reason as the cause", async () => {
    const daemon = await startDaemon({ handlers: { domainGetState: forever } });
    const connection = await connect(daemon);
    const controller = new AbortController();
    const { signal } = controller;
    const calls = Array.from({ length: 5 }, () =>
      rejection(connection.call(procedures.domainGetState, state, { signal })),
    );
    expect(connection.load).toEqual({ inFlight: 4, queued: 1, abandoned: 0 });
    const reason = new Error("enough");
    controller.abort(reason);
    for (const error of await Promise.all(calls)) {
      expect(error).toMatchObject({ code: "RPC_ABORTED", cause: reason });
    }
    expect(connection.load).toEqual({ inFlight: 4, queued: 0, abandoned: 4 });
    expect(
      await rejection(connection.call(procedures.connectGetHostname, {}, { signal })),
    ).toMatchObject({ code: "RPC_ABORTED" });
  });

  it("never sends a call that was given up in the queue", async () => {
    const release = Promise.withResolvers<void>();
    const daemon = await startDaemon({
      handlers: {
        domainGetState: async () => {
          await release.promise;
          return { state: 1, reason: 1 };
        },
        domainReset: () => ({}),
      },
    });
    const connection = await connect(daemon);
    const busy = Array.from({ length: 4 }, () => connection.call(procedures.domainGetState, state));
    const error = await rejection(
      connection.call(procedures.domainReset, state, { deadlineMs: 20 }),
    );
    expect(error).toMatchObject({ code: "RPC_DEADLINE_EXCEEDED" });
    release.resolve();
    await Promise.all(busy);
    await connection.call(procedures.connectGetHostname, {});
    expect(daemon.calls).not.toContain("domainReset");
  });
});

describe("closing", () => {
  it("says goodbye, reports RPC_CLOSED and refuses later calls", async () => {
    const daemon = await startDaemon();
    const connection = await connect(daemon);
    await connection.close();
    await connection.close();
    expect(daemon.calls.at(-1)).toBe("connectClose");
    expect(await connection.ended).toMatchObject({ code: "RPC_CLOSED" });
    expect(await rejection(connection.call(procedures.connectGetHostname, {}))).toMatchObject({
      code: "RPC_CLOSED",
    });
  });
});
