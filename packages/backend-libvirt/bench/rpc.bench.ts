import { fork } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { createConnection, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

import {
  downloadVolume,
  openConnection,
  procedures,
  uploadVolume,
  type LibvirtConnection,
  type StreamItem,
} from "@polyvisor/backend-libvirt/rpc";

import { startPrivateLibvirtd, type PrivateLibvirtd } from "../test/rpc/private-libvirtd.ts";

const latencyRounds = 10_000;
const warmUpRounds = 2000;
const throughputRounds = 5;
const throughputCalls = 20_000;
const transferMebibytes = 128;
const mebibyte = 1_048_576;

interface Exchange extends AsyncDisposable {
  run(): Promise<unknown>;
}

/** Sends fixed bytes over a unix socket and waits for an answer of known length. */
class FixedExchange {
  readonly #socket: Socket;
  #missing = 0;
  #answered = (): void => {};

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.on("data", (chunk) => {
      this.#missing -= chunk.length;
      if (this.#missing === 0) this.#answered();
    });
  }

  run(request: Buffer, answerBytes: number): Promise<void> {
    return new Promise((resolve) => {
      this.#missing = answerBytes;
      this.#answered = resolve;
      this.#socket.write(request);
    });
  }
}

/** A process of its own that echoes 28 bytes: the least that a request and a reply can cost. */
async function openEcho(): Promise<Exchange> {
  const directory = await mkdtemp(join(tmpdir(), "echo-"));
  const path = join(directory, "sock");
  const server = fork(new URL("echo-server.ts", import.meta.url), [path]);
  await once(server, "message");
  const socket = createConnection(path);
  await once(socket, "connect");
  const exchange = new FixedExchange(socket);
  const message = Buffer.alloc(28, 1);
  return {
    run: () => exchange.run(message, message.length),
    async [Symbol.asyncDispose]() {
      socket.destroy();
      const exited = once(server, "exit");
      server.kill();
      await exited;
      await rm(directory, { recursive: true, force: true });
    },
  };
}

/** The same call as prepared bytes: what the daemon costs without this client. */
async function openPrepared(socketPath: string, hostname: string): Promise<Exchange> {
  const socket = createConnection(socketPath);
  await once(socket, "connect");
  const exchange = new FixedExchange(socket);
  const uri = "test:///default";
  const open = Buffer.alloc(4 + 4 + Math.ceil(uri.length / 4) * 4 + 4);
  open.writeUInt32BE(1, 0);
  open.writeUInt32BE(uri.length, 4);
  open.write(uri, 8);
  await exchange.run(callFrame(66), 28 + 8);
  await exchange.run(callFrame(1, open), 28);
  const request = callFrame(59);
  const answerBytes = 28 + 4 + Math.ceil(Buffer.byteLength(hostname) / 4) * 4;
  return {
    run: () => exchange.run(request, answerBytes),
    async [Symbol.asyncDispose]() {
      socket.destroy();
    },
  };
}

function callFrame(procedure: number, payload: Buffer = Buffer.alloc(0)): Buffer {
  const header = Buffer.alloc(28);
  [28 + payload.length, 0x2000_8086, 1, procedure, 0, 1, 0].forEach((word, index) =>
    header.writeUInt32BE(word, index * 4),
  );
  return Buffer.concat([header, payload]);
}

/** Times in milliseconds, ascending, of actions that take turns, so that all meet the same load. */
async function measureInTurns(
  rounds: number,
  actions: readonly (() => Promise<unknown>)[],
): Promise<readonly Float64Array[]> {
  const times = actions.map(() => new Float64Array(rounds));
  for (let round = 0; round < rounds; round++) {
    for (const [index, action] of actions.entries()) {
      const start = performance.now();
      await action();
      times[index]![round] = performance.now() - start;
    }
  }
  return times.map((each) => each.sort());
}

async function callsPerSecond(connection: LibvirtConnection): Promise<number> {
  const start = performance.now();
  const calls = Array.from({ length: throughputCalls }, () =>
    connection.call(procedures.connectGetHostname, {}),
  );
  await Promise.all(calls);
  return throughputCalls / ((performance.now() - start) / 1000);
}

async function transferRates(daemon: PrivateLibvirtd): Promise<{ up: number; down: number }> {
  await using connection = await openConnection({
    socketPath: daemon.socketPath,
    uri: "qemu:///system",
    dedicated: true,
  });
  const path = join(daemon.directory, "pool");
  const { pool } = await connection.call(procedures.storagePoolCreateXml, {
    xml: `<pool type="dir"><name>bench</name><target><path>${path}</path></target></pool>`,
    flags: 0,
  });
  const { volume } = await connection.call(procedures.storageVolCreateXml, {
    pool,
    xml: `<volume><name>disk</name><capacity unit="MiB">${transferMebibytes}</capacity><allocation>0</allocation><target><format type="raw"/></target></volume>`,
    flags: 0,
  });
  async function* source(): AsyncGenerator<StreamItem> {
    const bytes = Buffer.alloc(mebibyte, 7);
    for (let index = 0; index < transferMebibytes; index++) yield { type: "data", bytes };
  }
  const start = performance.now();
  await uploadVolume(connection, { volume }, source());
  const uploaded = performance.now();
  let received = 0;
  for await (const item of downloadVolume(connection, { volume })) {
    if (item.type === "data") received += item.bytes.length;
  }
  const downloaded = performance.now();
  if (received !== transferMebibytes * mebibyte) throw new Error(`received ${received} bytes`);
  return {
    up: transferMebibytes / ((uploaded - start) / 1000),
    down: transferMebibytes / ((downloaded - uploaded) / 1000),
  };
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]!;
}

function microseconds(times: Float64Array, quantile: number): number {
  return times[Math.floor(times.length * quantile)]! * 1000;
}

function verdict(met: boolean, target: string): string {
  return `target ${target}: ${met ? "met" : "MISSED"}`;
}

async function main(): Promise<void> {
  await using daemon = await startPrivateLibvirtd();
  await using connection = await openConnection({
    socketPath: daemon.socketPath,
    uri: "test:///default",
    maxQueued: throughputCalls,
  });
  const { hostname } = await connection.call(procedures.connectGetHostname, {});
  await using echo = await openEcho();
  await using prepared = await openPrepared(daemon.socketPath, hostname);
  const actions = [
    () => echo.run(),
    () => prepared.run(),
    () => connection.call(procedures.connectGetHostname, {}),
  ];
  await measureInTurns(warmUpRounds, actions);
  const times = await measureInTurns(latencyRounds, actions);
  const [echoP50, preparedP50, callP50] = times.map((each) => microseconds(each, 0.5)) as [
    number,
    number,
    number,
  ];
  const throughputs: number[] = [];
  for (let round = 0; round < throughputRounds; round++) {
    throughputs.push(await callsPerSecond(connection));
  }
  const throughput = median(throughputs);
  const rates = await transferRates(daemon);

  const rows: string[][] = [["", "p50 µs", "p99 µs"]];
  for (const [index, name] of ["bare echo", "hostname, prepared", "hostname, client"].entries()) {
    const each = times[index]!;
    rows.push([name, microseconds(each, 0.5).toFixed(0), microseconds(each, 0.99).toFixed(0)]);
  }
  const ratio = callP50 / echoP50;
  rows.push(
    ["client / bare echo", `${ratio.toFixed(2)}x`, verdict(ratio <= 2, "at most 2x")],
    ["prepared / bare echo", `${(preparedP50 / echoP50).toFixed(2)}x`, "the daemon's own share"],
    ["client / prepared", `${(callP50 / preparedP50).toFixed(2)}x`, "the client's share"],
    ["calls/s, 4 in flight", throughput.toFixed(0), "on one connection"],
    ["upload MiB/s", rates.up.toFixed(0), ""],
    ["download MiB/s", rates.down.toFixed(0), ""],
  );
  for (const [name = "", value = "", note = ""] of rows) {
    console.log(`${name.padEnd(22)} ${value.padStart(8)}  ${note}`.trimEnd());
  }
}

await main();
