import { setTimeout as delay } from "node:timers/promises";
import { describe, expect, it } from "vitest";

import { procedures } from "../../src/rpc/index.ts";
import { connect, forever, rejection, someDomain, startDaemon, until } from "./support.ts";

describe("keepalive", () => {
  it("answers every ping of the daemon at once, also in a storm", async () => {
    const daemon = await startDaemon({ handlers: { domainGetState: forever } });
    const connection = await connect(daemon);
    const [client] = daemon.clients;
    const state = { domain: someDomain, flags: 0 };
    const stuck = Array.from({ length: 8 }, () =>
      rejection(connection.call(procedures.domainGetState, state)),
    );
    client?.ping(5000);
    await until(() => client?.keepalive.pongs === 5000);
    await connection.close();
    await Promise.all(stuck);
  });

  it("pings while idle and stays connected to a peer that answers", async () => {
    const daemon = await startDaemon();
    const connection = await connect(daemon, { keepalive: { intervalMs: 20, count: 3 } });
    await until(() => (daemon.clients[0]?.keepalive.pings ?? 0) >= 4);
    expect(connection.endReason).toBeUndefined();
  });

  it("declares a peer dead that does not answer", async () => {
    const daemon = await startDaemon();
    const connection = await connect(daemon, { keepalive: { intervalMs: 20, count: 2 } });
    const [client] = daemon.clients;
    client!.answersPings = false;
    expect(await connection.ended).toMatchObject({
      code: "RPC_CONNECTION_LOST",
      message: expect.stringContaining("2 pings"),
    });
    expect(client?.keepalive.pings).toBe(2);
  });

  it("counts any traffic as a sign of life", async () => {
    const daemon = await startDaemon();
    const connection = await connect(daemon, { keepalive: { intervalMs: 100, count: 1 } });
    daemon.clients[0]!.answersPings = false;
    const end = Date.now() + 600;
    while (Date.now() < end) {
      await connection.call(procedures.connectGetHostname, {});
      await delay(5);
    }
    expect(connection.endReason).toBeUndefined();
  });

  it("does not hoard answers for a peer that pings without reading", async () => {
    const daemon = await startDaemon();
    const connection = await connect(daemon, { keepalive: false });
    const [client] = daemon.clients;
    client?.setReading(false);
    client?.ping(300_000);
    await client?.drained();
    client?.setReading(true);
    await connection.call(procedures.connectGetHostname, {});
    expect(client?.keepalive.pongs).toBeGreaterThan(1000);
    expect(client?.keepalive.pongs).toBeLessThan(150_000);
  });

  it("sends no pings when switched off", async () => {
    const daemon = await startDaemon();
    const connection = await connect(daemon, { keepalive: false });
    daemon.clients[0]?.ping();
    await until(() => daemon.clients[0]?.keepalive.pongs === 1);
    expect(daemon.calls).not.toContain("connectSupportsFeature");
    expect(daemon.clients[0]?.keepalive.pings).toBe(0);
    expect(connection.endReason).toBeUndefined();
  });
});
