import { setTimeout as delay } from "node:timers/promises";
import { describe, expect, it } from "vitest";

import {
  downloadVolume,
  maxStreamChunkBytes,
  openConsole,
  procedures,
  uploadVolume,
  type StreamItem,
} from "../../src/rpc/index.ts";
import { messageStatus } from "../../src/rpc/frame.ts";
import { wireErrorCodec } from "../../src/rpc/libvirt-error.ts";
import { fakeError } from "../../src/testing/fake-libvirtd.ts";
import type { FakeStream, FakeStreamPacket } from "../../src/testing/fake-libvirtd-stream.ts";
import { connect, rejection, someDomain, someVolume, startDaemon, until } from "./support.ts";

const transfer = { volume: someVolume };
const handlers = {
  storageVolUpload: () => ({}),
  storageVolDownload: () => ({}),
  domainOpenConsole: () => ({}),
};

function data(bytes: Uint8Array): StreamItem {
  return { type: "data", bytes };
}

async function* items(...all: readonly StreamItem[]): AsyncGenerator<StreamItem> {
  yield* all;
}

async function collect(source: AsyncIterable<StreamItem>): Promise<StreamItem[]> {
  const all: StreamItem[] = [];
  for await (const item of source) all.push(item);
  return all;
}

/** Takes what the client sends until it finishes or aborts; confirms a finish. */
async function receive(stream: FakeStream, into: FakeStreamPacket[]): Promise<void> {
  for await (const packet of stream) {
    into.push(packet);
    if (packet.type === "finish") stream.confirm();
    if (packet.type === "finish" || packet.type === "abort") return;
  }
}

describe("a stream whose data come before the answer to its call", () => {
  it("has all of them", async () => {
    const daemon = await startDaemon({
      handlers: {
        storageVolDownload: (_, { client, frame }) => {
          client.streamPacket(frame, messageStatus.continue, Uint8Array.of(1, 2));
          client.streamHole(frame, 4096);
          return {};
        },
      },
      onStream: async (stream) => {
        await stream.data(Uint8Array.of(3));
        stream.endOfData();
        stream.confirm();
      },
    });
    const connection = await connect(daemon, { dedicated: true });
    expect(await collect(downloadVolume(connection, transfer))).toMatchObject([
      { type: "data", bytes: Buffer.of(1, 2) },
      { type: "hole", length: 4096 },
      { type: "data", bytes: Buffer.of(3) },
    ]);
  });

  it("ends the connection when they are too many, and forgets them when the call fails", async () => {
    let count = 1;
    const daemon = await startDaemon({
      handlers: {
        storageVolDownload: (_, { client, frame }) => {
          const chunk = new Uint8Array(maxStreamChunkBytes);
          for (let sent = 0; sent < count; sent += 1) {
            client.streamPacket(frame, messageStatus.continue, chunk);
          }
          throw fakeError(50, "no such volume");
        },
      },
    });
    const connection = await connect(daemon, { dedicated: true });
    for (let call = 0; call < 40; call += 1) {
      expect(await rejection(collect(downloadVolume(connection, transfer)))).toMatchObject({
        number: 50,
      });
    }
    count = 40;
    expect(await rejection(collect(downloadVolume(connection, transfer)))).toMatchObject({
      code: "RPC_PROTOCOL",
    });
  });
});

describe("uploadVolume", () => {
  it("sends data in allowed chunks, holes as holes, and waits for the confirmation", async () => {
    const received: FakeStreamPacket[] = [];
    const calls: unknown[] = [];
    const daemon = await startDaemon({
      handlers: {
        storageVolUpload: (args) => {
          calls.push(args);
          return {};
        },
      },
      onStream: (stream) => receive(stream, received),
    });
    const connection = await connect(daemon, { dedicated: true });
    const large = new Uint8Array(maxStreamChunkBytes * 2 + 5).fill(7);
    await uploadVolume(
      connection,
      { volume: someVolume, offset: 4096 },
      items(data(large), { type: "hole", length: 2 ** 40 }, data(Uint8Array.of(1, 2))),
    );
    expect(calls).toEqual([{ volume: someVolume, offset: 4096, length: 0, flags: 1 }]);
    expect(
      received.map((packet) => (packet.type === "data" ? packet.bytes.length : packet)),
    ).toEqual([
      maxStreamChunkBytes,
      maxStreamChunkBytes,
      5,
      { type: "hole", length: 2 ** 40 },
      2,
      { type: "finish" },
    ]);
  });

  it("sends holes as zero bytes when not sparse", async () => {
    const received: FakeStreamPacket[] = [];
    const daemon = await startDaemon({
      handlers,
      onStream: (stream) => receive(stream, received),
    });
    const connection = await connect(daemon, { dedicated: true });
    const hole: StreamItem = { type: "hole", length: maxStreamChunkBytes + 10 };
    await uploadVolume(connection, { volume: someVolume, sparse: false }, items(hole));
    const bytes = received.flatMap((packet) => (packet.type === "data" ? [packet.bytes] : []));
    expect(bytes.map((chunk) => chunk.length)).toEqual([maxStreamChunkBytes, 10]);
    expect(bytes.every((chunk) => chunk.every((byte) => byte === 0))).toBe(true);
  });

  it("reads its source no faster than the daemon takes the data", async () => {
    const daemon = await startDaemon({
      handlers,
      onStream: async (stream) => {
        stream.client.setReading(false);
      },
    });
    const connection = await connect(daemon, { dedicated: true, keepalive: false });
    let produced = 0;
    async function* endless(): AsyncGenerator<StreamItem> {
      for (;;) {
        produced += 1;
        yield data(new Uint8Array(maxStreamChunkBytes));
      }
    }
    const upload = rejection(uploadVolume(connection, transfer, endless()));
    await until(() => produced > 0);
    let last = -1;
    await until(() => {
      const steady = produced === last;
      last = produced;
      return steady;
    });
    expect(produced).toBeLessThan(40);
    daemon.clients[0]?.destroy();
    expect(await upload).toMatchObject({ code: "RPC_CONNECTION_LOST" });
  });

  it("stops at once, also while its source hangs, when the daemon fails the stream", async () => {
    const daemon = await startDaemon({
      handlers,
      onStream: async (stream) => {
        for await (const packet of stream) {
          if (packet.type === "data") stream.fail(fakeError(38, "No space left on device"));
        }
      },
    });
    const connection = await connect(daemon, { dedicated: true });
    let closed = false;
    const source: AsyncIterable<StreamItem> = {
      [Symbol.asyncIterator]() {
        let first = true;
        return {
          next: () => {
            if (!first) return new Promise(() => {});
            first = false;
            return Promise.resolve({ done: false, value: data(Uint8Array.of(1)) });
          },
          return: () => {
            closed = true;
            return Promise.resolve({ done: true, value: undefined });
          },
        };
      },
    };
    expect(await rejection(uploadVolume(connection, transfer, source))).toMatchObject({
      code: "LIBVIRT_SYSTEM_ERROR",
      message: "storageVolUpload failed: No space left on device",
    });
    expect(closed).toBe(true);
    expect(await connection.call(procedures.connectGetHostname, {})).toEqual({ hostname: "fake" });
  });

  it("understands a stream error that comes as a second reply", async () => {
    const daemon = await startDaemon({
      handlers,
      onStream: async (stream) => {
        stream.client.reply(stream.call, messageStatus.error, (writer) =>
          wireErrorCodec.write(writer, fakeError(1, "late").fields),
        );
      },
    });
    const connection = await connect(daemon, { dedicated: true });
    const upload = uploadVolume(connection, transfer, items());
    expect(await rejection(upload)).toMatchObject({ code: "LIBVIRT_INTERNAL_ERROR" });
  });

  it("takes no second good reply for the confirmation of the upload", async () => {
    const packets: string[] = [];
    const daemon = await startDaemon({
      handlers,
      onStream: async (stream) => {
        stream.client.reply(stream.call, messageStatus.ok);
        for await (const packet of stream) {
          packets.push(packet.type);
          if (packet.type === "finish") stream.confirm();
        }
      },
    });
    const connection = await connect(daemon, { dedicated: true });
    await uploadVolume(connection, transfer, items(data(Uint8Array.of(1))));
    expect(packets).toEqual(["data", "finish"]);
  });

  it("aborts at the daemon when the source fails or the signal fires", async () => {
    const received: FakeStreamPacket[] = [];
    const daemon = await startDaemon({
      handlers,
      onStream: (stream) => receive(stream, received),
    });
    const connection = await connect(daemon, { dedicated: true });
    const broken = new Error("the disk is unreadable");
    async function* failing(): AsyncGenerator<StreamItem> {
      yield data(Uint8Array.of(1));
      throw broken;
    }
    expect(await rejection(uploadVolume(connection, transfer, failing()))).toBe(broken);
    await until(() => received.at(-1)?.type === "abort");

    const controller = new AbortController();
    async function* hanging(): AsyncGenerator<StreamItem> {
      yield data(Uint8Array.of(1));
      controller.abort();
      await new Promise(() => {});
    }
    received.length = 0;
    const { signal } = controller;
    const upload = uploadVolume(connection, transfer, hanging(), { signal });
    expect(await rejection(upload)).toMatchObject({ code: "RPC_ABORTED" });
    await until(() => received.at(-1)?.type === "abort");
  });
});

describe("downloadVolume", () => {
  it("yields data and holes up to the end and confirms it", async () => {
    const received: FakeStreamPacket[] = [];
    const daemon = await startDaemon({
      handlers,
      onStream: async (stream) => {
        await stream.data(Buffer.from("one"));
        stream.hole(2 ** 33);
        await stream.data(Buffer.from("two"));
        stream.endOfData();
        await receive(stream, received);
      },
    });
    const connection = await connect(daemon, { dedicated: true });
    const all = await collect(downloadVolume(connection, transfer));
    expect(
      all.map((item) => (item.type === "data" ? Buffer.from(item.bytes).toString() : item)),
    ).toEqual(["one", { type: "hole", length: 2 ** 33 }, "two"]);
    expect(received).toEqual([{ type: "finish" }]);
  });

  it("delivers what came before an error, then the error", async () => {
    const daemon = await startDaemon({
      handlers,
      onStream: async (stream) => {
        await stream.data(Buffer.from("part"));
        stream.fail(fakeError(38, "Input/output error"));
      },
    });
    const connection = await connect(daemon, { dedicated: true });
    const download = downloadVolume(connection, transfer);
    expect(await download.next()).toMatchObject({ done: false, value: { type: "data" } });
    expect(await rejection(download.next())).toMatchObject({ code: "LIBVIRT_SYSTEM_ERROR" });
  });

  it("holds the daemon back on a dedicated connection and loses nothing", async () => {
    const count = 400;
    let sent = 0;
    const daemon = await startDaemon({
      handlers,
      onStream: async (stream) => {
        for (; sent < count; sent++) {
          await stream.data(new Uint8Array(maxStreamChunkBytes).fill(sent % 251));
        }
        stream.endOfData();
        await receive(stream, []);
      },
    });
    const connection = await connect(daemon, {
      dedicated: true,
      keepalive: { intervalMs: 10, count: 1 },
    });
    const download = downloadVolume(connection, transfer);
    const first = await download.next();
    let last = -1;
    await until(() => {
      const steady = sent === last;
      last = sent;
      return steady;
    });
    await delay(200);
    expect(sent).toBeLessThan(100);
    expect(connection.endReason).toBeUndefined();
    let total = first.done === true ? 0 : 1;
    let bytes = maxStreamChunkBytes;
    for await (const item of download) {
      if (item.type !== "data") continue;
      expect(item.bytes[0]).toBe(total % 251);
      total += 1;
      bytes += item.bytes.length;
    }
    expect([total, bytes]).toEqual([count, count * maxStreamChunkBytes]);
  });

  it("fails rather than hold back a shared connection", async () => {
    const received: FakeStreamPacket[] = [];
    const daemon = await startDaemon({
      handlers,
      onStream: async (stream) => {
        const aborted = receive(stream, received);
        for (let sent = 0; sent < 60; sent++) {
          await stream.data(new Uint8Array(maxStreamChunkBytes));
        }
        await aborted;
      },
    });
    const connection = await connect(daemon);
    const stream = await connection.openStream(procedures.storageVolDownload, {
      ...transfer,
      offset: 0,
      length: 0,
      flags: 0,
    });
    await until(() => stream.closed);
    expect(await connection.call(procedures.connectGetHostname, {})).toEqual({ hostname: "fake" });
    expect(await rejection(collect(stream))).toMatchObject({ code: "RPC_STREAM_OVERFLOW" });
    await until(() => received.at(-1)?.type === "abort");
  });

  it("aborts when its consumer leaves, and drops what still comes", async () => {
    const received: FakeStreamPacket[] = [];
    const daemon = await startDaemon({
      handlers,
      onStream: async (stream) => {
        const aborted = receive(stream, received);
        await stream.data(Buffer.from("one"));
        await aborted;
        await stream.data(Buffer.from("late"));
        stream.fail(fakeError(1, "stream aborted at client request"));
      },
    });
    const connection = await connect(daemon, { dedicated: true });
    for await (const item of downloadVolume(connection, transfer)) {
      expect(item.type).toBe("data");
      break;
    }
    await until(() => received.at(-1)?.type === "abort");
    expect(await connection.call(procedures.connectGetHostname, {})).toEqual({ hostname: "fake" });
  });

  it("aborts a stream whose opening was given up", async () => {
    const release = Promise.withResolvers<void>();
    const received: FakeStreamPacket[] = [];
    const daemon = await startDaemon({
      handlers: {
        storageVolDownload: async () => {
          await release.promise;
          return {};
        },
      },
      onStream: (stream) => receive(stream, received),
    });
    const connection = await connect(daemon, { dedicated: true });
    const signal = AbortSignal.timeout(20);
    const download = downloadVolume(connection, transfer, { signal });
    expect(await rejection(download.next())).toMatchObject({ code: "RPC_ABORTED" });
    const opening = connection.openStream(
      procedures.storageVolDownload,
      { ...transfer, offset: 0, length: 0, flags: 0 },
      { deadlineMs: 20 },
    );
    expect(await rejection(opening)).toMatchObject({ code: "RPC_DEADLINE_EXCEEDED" });
    release.resolve();
    await until(() => received.length === 2);
    expect(received).toEqual([{ type: "abort" }, { type: "abort" }]);
    expect(connection.load.inFlight).toBe(0);
  });
});

describe("openConsole", () => {
  it("reads and writes at the same time", async () => {
    const daemon = await startDaemon({
      handlers,
      onStream: async (stream) => {
        await stream.data(Buffer.from("login: "));
        for await (const packet of stream) {
          if (packet.type !== "data") return;
          await stream.data(Buffer.from(`echo ${Buffer.from(packet.bytes).toString()}`));
          stream.endOfData();
        }
      },
    });
    const connection = await connect(daemon, { dedicated: true });
    await using terminal = await openConsole(connection, { domain: someDomain });
    const output: string[] = [];
    for await (const bytes of terminal) {
      output.push(Buffer.from(bytes).toString());
      if (output.length === 1) await terminal.write(Buffer.from("root"));
    }
    expect(output).toEqual(["login: ", "echo root"]);
    expect(await rejection(terminal.write(Buffer.from("x")))).toMatchObject({ code: "RPC_CLOSED" });
  });

  it("passes its flags on and leaves the console when disposed", async () => {
    const flags: number[] = [];
    const received: FakeStreamPacket[] = [];
    const daemon = await startDaemon({
      handlers: {
        domainOpenConsole: (args) => {
          flags.push(args.flags);
          return {};
        },
      },
      onStream: (stream) => receive(stream, received),
    });
    const connection = await connect(daemon, { dedicated: true });
    const terminal = await openConsole(connection, { domain: someDomain, force: true, safe: true });
    const pending = terminal[Symbol.asyncIterator]().next();
    await terminal[Symbol.asyncDispose]();
    expect(await rejection(pending)).toMatchObject({ code: "RPC_CLOSED" });
    await until(() => received.at(-1)?.type === "abort");
    expect(flags).toEqual([3]);
  });
});
