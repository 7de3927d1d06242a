import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { events, procedures, type LibvirtConnection } from "../../src/rpc/index.ts";
import { encodeFrame, messageStatus, messageType } from "../../src/rpc/frame.ts";
import { isRpcError } from "../../src/rpc/rpc-error.ts";
import type { FakeCallContext, FakeHandlers } from "../../src/testing/fake-libvirtd.ts";
import type { FakeStream } from "../../src/testing/fake-libvirtd-stream.ts";
import { connect, forever, rejection, someDomain, startDaemon, until } from "./support.ts";

const state = { domain: someDomain, flags: 0 };

function answering(fault: (context: FakeCallContext) => void): FakeHandlers {
  return {
    domainGetState: (_args, context) => {
      fault(context);
      return context.handled;
    },
  };
}

async function callWith(fault: (context: FakeCallContext) => void): Promise<{
  connection: LibvirtConnection;
  error: unknown;
}> {
  const daemon = await startDaemon({ handlers: answering(fault) });
  const connection = await connect(daemon, { defaultDeadlineMs: 5000 });
  const error = await rejection(connection.call(procedures.domainGetState, state));
  return { connection, error };
}

describe("a peer that breaks the protocol", () => {
  it.each<[string, (context: FakeCallContext) => void]>([
    [
      "a giant length",
      ({ client }) => client.sendRaw(Buffer.from([0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 0])),
    ],
    ["a length below the header", ({ client }) => client.sendRaw(Buffer.from([0, 0, 0, 4]))],
    [
      "a serial never used",
      ({ client, frame }) => client.reply(frame, 0, undefined, { serial: 9999 }),
    ],
    [
      "a reply to another procedure",
      ({ client, frame }) => client.reply(frame, 0, undefined, { procedure: 1 }),
    ],
    [
      "a reply of another program",
      ({ client, frame }) => client.reply(frame, 0, undefined, { program: 7 }),
    ],
    [
      "a call from the daemon",
      ({ client, frame }) => client.reply(frame, 0, undefined, { type: messageType.call }),
    ],
  ])("ends the connection on %s", async (_what, fault) => {
    const { connection, error } = await callWith(fault);
    expect(error).toMatchObject({ code: "RPC_PROTOCOL" });
    expect(connection.endReason).toBe(error);
  });

  it("ends the connection on a malformed event", async () => {
    const daemon = await startDaemon({
      handlers: { connectDomainEventCallbackRegisterAny: () => ({ callbackId: 1 }) },
    });
    const connection = await connect(daemon);
    const subscription = await connection.subscribe(events.domainLifecycle);
    const { program, procedure } = events.domainLifecycle;
    daemon.clients[0]?.message(program, procedure, (writer) => writer.writeInt(1));
    const next = subscription[Symbol.asyncIterator]().next();
    expect(await rejection(next)).toMatchObject({ code: "RPC_PROTOCOL" });
  });

  it.each([
    ["an unknown status", (stream: FakeStream) => stream.client.streamPacket(stream.call, 9)],
    ["a malformed error", (stream: FakeStream) => stream.client.streamPacket(stream.call, 1)],
    ["a hole of negative length", (stream: FakeStream) => stream.hole(-1)],
  ])("ends the connection on a stream packet with %s", async (_what, fault) => {
    const daemon = await startDaemon({
      handlers: { domainOpenConsole: () => ({}) },
      onStream: async (stream) => fault(stream),
    });
    const connection = await connect(daemon);
    const stream = await connection.openStream(procedures.domainOpenConsole, state);
    const next = stream[Symbol.asyncIterator]().next();
    expect(await rejection(next)).toMatchObject({ code: "RPC_PROTOCOL" });
    expect(await connection.ended).toMatchObject({ code: "RPC_PROTOCOL" });
  });

  it.each<[string, (context: FakeCallContext) => void]>([
    ["is too short", ({ client, frame }) => client.reply(frame, 0, (w) => w.writeInt(1))],
    [
      "is too long",
      ({ client, frame }) =>
        client.reply(frame, 0, (writer) => {
          for (let index = 0; index < 3; index++) writer.writeInt(1);
        }),
    ],
    ["has an unknown status", ({ client, frame }) => client.reply(frame, 2)],
    ["is a malformed error", ({ client, frame }) => client.reply(frame, messageStatus.error)],
  ])("fails only the call whose reply %s", async (_what, fault) => {
    const { connection, error } = await callWith(fault);
    expect(error).toMatchObject({
      code: "RPC_PROTOCOL",
      message: expect.stringContaining("domainGetState"),
    });
    expect(await connection.call(procedures.connectGetHostname, {})).toEqual({ hostname: "fake" });
  });

  it("survives random bytes with an RpcError", async () => {
    const daemon = await startDaemon();
    const noise = fc.uint8Array({ minLength: 30, maxLength: 300 });
    const framed = noise.map((bytes) => {
      const frame = Buffer.from(bytes);
      frame.writeUInt32BE(frame.length);
      frame.writeUInt32BE(0x2000_8086, 4);
      frame.writeInt32BE((frame[15] ?? 0) % 8, 16);
      frame.writeUInt32BE((frame[23] ?? 0) % 6, 20);
      return frame;
    });
    await fc.assert(
      fc.asyncProperty(fc.oneof(noise, framed), async (bytes) => {
        const connection = await connect(daemon, { keepalive: false });
        daemon.clients.at(-1)?.sendRaw(bytes);
        const call = connection.call(procedures.connectGetHostname, {}, { deadlineMs: 200 });
        const failure = await call.then(
          () => undefined,
          (error: unknown) => error,
        );
        expect(failure).toSatisfy((error) => error === undefined || isRpcError(error));
        await connection.close();
        expect(connection.endReason).toSatisfy((reason) => isRpcError(reason));
      }),
      { numRuns: 60 },
    );
  });
});

describe("oddities that are tolerated", () => {
  it("ignores messages of unknown programs and procedures and late stream packets", async () => {
    const daemon = await startDaemon({
      handlers: answering(({ client, frame }) => {
        client.message(0xdead_beef, 1);
        client.message(0x2000_8086, 9999);
        client.streamPacket({ ...frame, serial: 1 }, messageStatus.continue, Buffer.from("late"));
        client.reply(frame, 0, undefined, { serial: 1, procedure: 66 });
        client.reply(frame, 0, (writer) => {
          writer.writeInt(1);
          writer.writeInt(2);
        });
      }),
    });
    const connection = await connect(daemon);
    expect(await connection.call(procedures.domainGetState, state)).toEqual({
      state: 1,
      reason: 2,
    });
  });

  it("skips the bytes of file descriptors and stays in step", async () => {
    const daemon = await startDaemon({
      handlers: answering(({ client, frame }) => {
        const { program, procedure, serial } = frame;
        const type = messageType.replyWithFds;
        const reply = encodeFrame({ program, procedure, serial, type, status: 0 }, (writer) => {
          writer.writeUnsignedInt(2);
          writer.writeInt(5);
          writer.writeInt(6);
        });
        client.sendRaw(Buffer.concat([reply, Buffer.from([0, 0])]));
      }),
    });
    const connection = await connect(daemon);
    for (let round = 0; round < 3; round++) {
      expect(await connection.call(procedures.domainGetState, state)).toEqual({
        state: 5,
        reason: 6,
      });
    }
  });

  it("accepts a reply that trickles in byte by byte", async () => {
    const daemon = await startDaemon({
      handlers: answering(({ client, frame }) => {
        const { program, procedure, serial } = frame;
        const reply = encodeFrame(
          { program, procedure, serial, type: messageType.reply, status: 0 },
          (writer) => {
            writer.writeInt(3);
            writer.writeInt(4);
          },
        );
        const sendFrom = (offset: number): void => {
          client.sendRaw(reply.subarray(offset, offset + 1));
          if (offset + 1 < reply.length) setImmediate(sendFrom, offset + 1);
        };
        sendFrom(0);
      }),
    });
    const connection = await connect(daemon);
    expect(await connection.call(procedures.domainGetState, state)).toEqual({
      state: 3,
      reason: 4,
    });
  });
});

describe("a connection that is lost", () => {
  it("ends every call, queued call, stream and subscription with the reason", async () => {
    const daemon = await startDaemon({
      handlers: {
        domainGetState: forever,
        domainOpenConsole: () => ({}),
        connectDomainEventCallbackRegisterAny: () => ({ callbackId: 3 }),
      },
    });
    const connection = await connect(daemon);
    const subscription = await connection.subscribe(events.domainLifecycle);
    const stream = await connection.openStream(procedures.domainOpenConsole, state);
    const ends = [
      ...Array.from({ length: 9 }, () => connection.call(procedures.domainGetState, state)),
      subscription[Symbol.asyncIterator]().next(),
      stream[Symbol.asyncIterator]().next(),
      stream.finish(),
    ].map(rejection);
    await until(() => daemon.clients[0]?.calls.active === 4);
    daemon.clients[0]?.destroy();
    const reasons = await Promise.all(ends);
    expect(connection.endReason).toMatchObject({ code: "RPC_CONNECTION_LOST" });
    for (const reason of reasons) expect(reason).toBe(connection.endReason);
    expect(await connection.ended).toBe(connection.endReason);
    await subscription[Symbol.asyncDispose]();
    await stream[Symbol.asyncDispose]();
  });

  it("reports a loss in the middle of a frame", async () => {
    const { error } = await callWith(({ client }) => {
      client.sendRaw(Buffer.from([0, 0, 1, 0, 0x20]));
      setTimeout(() => client.destroy(), 10);
    });
    expect(error).toMatchObject({ code: "RPC_CONNECTION_LOST" });
  });
});
