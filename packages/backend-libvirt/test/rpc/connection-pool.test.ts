import { onTestFinished, describe, expect, it } from "vitest";

import {
  createConnectionPool,
  events,
  procedures,
  type ConnectionPool,
  type ConnectionPoolOptions,
} from "../../src/rpc/index.ts";
import type { FakeLibvirtd } from "../../src/testing/fake-libvirtd.ts";
import { forever, rejection, someDomain, startDaemon, until } from "./support.ts";

const state = { domain: someDomain, flags: 0 };

function createPool(
  daemon: FakeLibvirtd,
  options: Partial<ConnectionPoolOptions> = {},
): ConnectionPool {
  const pool = createConnectionPool({
    socketPath: daemon.socketPath,
    uri: "test:///default",
    ...options,
  });
  onTestFinished(() => pool.close());
  return pool;
}

describe("roles", () => {
  it("opens connections when they are needed and shares them", async () => {
    const daemon = await startDaemon({ handlers: { domainResume: () => ({}) } });
    const pool = createPool(daemon);
    expect(daemon.clients).toHaveLength(0);
    await Promise.all([
      pool.call(procedures.connectGetHostname, {}),
      pool.call(procedures.connectGetHostname, {}),
    ]);
    expect(pool.size).toEqual({ control: 1, bulk: 0, events: 0, dedicated: 0 });
    await pool.call(procedures.domainResume, { domain: someDomain });
    expect(pool.size).toEqual({ control: 1, bulk: 1, events: 0, dedicated: 0 });
    await pool.call(procedures.domainResume, { domain: someDomain }, { role: "control" });
    expect(daemon.clients).toHaveLength(2);
  });

  it("keeps control calls quick while bulk calls hang, within its limits", async () => {
    const daemon = await startDaemon({ handlers: { domainReset: forever } });
    const pool = createPool(daemon, { limits: { control: 1, bulk: 2 } });
    const stuck = Array.from({ length: 30 }, () =>
      rejection(pool.call(procedures.domainReset, state)),
    );
    await until(() => daemon.calls.filter((name) => name === "domainReset").length === 8);
    expect(await pool.call(procedures.connectGetHostname, {})).toEqual({ hostname: "fake" });
    expect(pool.size).toEqual({ control: 1, bulk: 2, events: 0, dedicated: 0 });
    await pool.close();
    for (const error of await Promise.all(stuck)) {
      expect(error).toMatchObject({ code: "RPC_CLOSED" });
    }
  });

  it("avoids a connection with abandoned calls and replaces one that is stuck", async () => {
    const daemon = await startDaemon({
      handlers: { domainReset: forever, domainResume: () => ({}) },
    });
    const pool = createPool(daemon, { limits: { bulk: 2 } });
    const abandon = (): Promise<unknown> =>
      rejection(pool.call(procedures.domainReset, state, { deadlineMs: 20 }));
    await abandon();
    await pool.call(procedures.domainResume, { domain: someDomain });
    expect(pool.size.bulk).toBe(2);
    await Promise.all(Array.from({ length: 16 }, abandon));
    await pool.call(procedures.domainResume, { domain: someDomain });
    expect(pool.size.bulk).toBe(2);
    await until(() => daemon.clients.some((client) => client.closed));
  });
});

describe("failures", () => {
  it("replaces a connection that was lost and never repeats a call", async () => {
    const daemon = await startDaemon({ handlers: { domainGetState: forever } });
    const pool = createPool(daemon);
    const lost = rejection(pool.call(procedures.domainGetState, state));
    await until(() => daemon.calls.includes("domainGetState"));
    daemon.clients[0]?.destroy();
    expect(await lost).toMatchObject({ code: "RPC_CONNECTION_LOST" });
    expect(await pool.call(procedures.connectGetHostname, {})).toEqual({ hostname: "fake" });
    expect(daemon.clients).toHaveLength(2);
    expect(daemon.calls.filter((name) => name === "domainGetState")).toHaveLength(1);
  });

  it("reports why it cannot connect and tries again with the next call", async () => {
    const daemon = await startDaemon();
    const socketPath: string[] = [`${daemon.socketPath}-missing`];
    const pool = createPool(daemon, { socketPath });
    expect(await rejection(pool.call(procedures.connectGetHostname, {}))).toMatchObject({
      code: "RPC_CONNECT_FAILED",
    });
    socketPath.push(daemon.socketPath);
    expect(await pool.call(procedures.connectGetHostname, {})).toEqual({ hostname: "fake" });
  });

  it("gives a caller up without disturbing the others that wait for the same opening", async () => {
    const release = Promise.withResolvers<void>();
    const daemon = await startDaemon({
      handlers: {
        connectOpen: async () => {
          await release.promise;
          return {};
        },
      },
    });
    const pool = createPool(daemon);
    const signal = AbortSignal.timeout(30);
    const first = rejection(pool.call(procedures.connectGetHostname, {}, { signal }));
    const second = pool.call(procedures.connectGetHostname, {});
    expect(await first).toMatchObject({ code: "RPC_ABORTED" });
    release.resolve();
    expect(await second).toEqual({ hostname: "fake" });
    expect(daemon.clients).toHaveLength(1);
  });

  it("ends subscriptions with their connection so that the consumer can list anew", async () => {
    const daemon = await startDaemon({
      handlers: { connectDomainEventCallbackRegisterAny: () => ({ callbackId: 1 }) },
    });
    const pool = createPool(daemon);
    const subscription = await pool.subscribe(events.domainLifecycle);
    const next = rejection(subscription[Symbol.asyncIterator]().next());
    daemon.clients[0]?.destroy();
    expect(await next).toMatchObject({ code: "RPC_CONNECTION_LOST" });
    await pool.subscribe(events.domainLifecycle);
    expect(daemon.clients).toHaveLength(2);
  });
});

describe("dedicated connections", () => {
  it("are bounded; the next waits until one is closed", async () => {
    const daemon = await startDaemon();
    const pool = createPool(daemon, { limits: { dedicated: 2 } });
    const first = await pool.dedicated();
    await pool.dedicated();
    const third = pool.dedicated();
    const signal = AbortSignal.timeout(20);
    expect(await rejection(pool.dedicated({ signal }))).toMatchObject({ code: "RPC_ABORTED" });
    expect(pool.size.dedicated).toBe(2);
    await first.close();
    expect((await third).endReason).toBeUndefined();
    expect(pool.size.dedicated).toBe(2);
  });

  it("give their place back when opening fails", async () => {
    const daemon = await startDaemon();
    const socketPath: string[] = [`${daemon.socketPath}-missing`];
    const pool = createPool(daemon, { socketPath, limits: { dedicated: 1 } });
    expect(await rejection(pool.dedicated())).toMatchObject({ code: "RPC_CONNECT_FAILED" });
    socketPath.push(daemon.socketPath);
    expect((await pool.dedicated()).endReason).toBeUndefined();
  });
});

describe("closing", () => {
  it("ends everything, waiting callers included", async () => {
    const daemon = await startDaemon({ handlers: { connectOpen: forever } });
    const pool = createPool(daemon, { limits: { dedicated: 1 } });
    const waiting = [
      rejection(pool.call(procedures.connectGetHostname, {})),
      rejection(pool.dedicated()),
      rejection(pool.dedicated()),
    ];
    await until(() => daemon.calls.filter((name) => name === "connectOpen").length === 2);
    await pool.close();
    for (const error of await Promise.all(waiting)) {
      expect(error).toMatchObject({ code: "RPC_CLOSED" });
    }
    expect(await rejection(pool.call(procedures.connectGetHostname, {}))).toMatchObject({
      code: "RPC_CLOSED",
    });
    await until(() => daemon.clients.every((client) => client.closed));
  });
});
