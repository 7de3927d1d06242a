import { execFile, fork } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { createConnection, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setFlagsFromString } from "node:v8";
import { promisify } from "node:util";
import { runInNewContext } from "node:vm";

import { libvirtBackend } from "@polyvisor/backend-libvirt";
import { createConnectionPool, procedures } from "@polyvisor/backend-libvirt/rpc";

import { readGuestStatistics } from "../src/metrics/guest-statistics.ts";
import type { TypedParameter } from "../src/rpc/typed-parameter.ts";
import { XdrReader } from "../src/rpc/xdr-reader.ts";
import { XdrWriter } from "../src/rpc/xdr-writer.ts";
import { startPrivateLibvirtd } from "../test/rpc/private-libvirtd.ts";

const ROUNDS = 5;
const CALLS = 20_000;
const PROCESSES = 20;
const GUESTS = 500;
const DECODINGS = 40;
const HOSTS = 200;

const rows: string[][] = [];
const verdict = (met: boolean, target: string): string =>
  `target ${target}: ${met ? "met" : "MISSED"}`;

/** The best of several rounds: other work on the machine only ever makes a round worse. */
const most = (values: readonly number[]): number => Math.max(...values);
const least = (values: readonly number[]): number => Math.min(...values);

async function milliseconds(work: () => unknown): Promise<number> {
  const start = performance.now();
  await work();
  return performance.now() - start;
}

/** Small calls to one host, through a pool, and as processes of virsh. */
async function measureCalls(): Promise<void> {
  await using daemon = await startPrivateLibvirtd();
  const uri = "test:///default";
  await using pool = createConnectionPool({
    socketPath: daemon.socketPath,
    uri,
    limits: { control: 4 },
    maxQueued: CALLS,
  });
  const burst = (): Promise<unknown> =>
    Promise.all(Array.from({ length: CALLS }, () => pool.call(procedures.connectGetHostname, {})));
  await burst();
  const virsh = promisify(execFile);
  const viaSocket = `test+unix:///default?socket=${daemon.socketPath}`;
  const calls: number[] = [];
  const processes: number[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    calls.push(CALLS / ((await milliseconds(burst)) / 1000));
    const spent = await milliseconds(async () => {
      for (let index = 0; index < PROCESSES; index += 1) {
        await virsh("virsh", ["-c", viaSocket, "hostname"]);
      }
    });
    processes.push(PROCESSES / (spent / 1000));
  }
  const ratio = most(calls) / most(processes);
  rows.push(
    [
      "calls/s on one host",
      most(calls).toFixed(0),
      verdict(most(calls) >= 10_000, "at least 10,000"),
    ],
    ["virsh processes/s", most(processes).toFixed(0), "one after the other"],
    ["calls / virsh", `${ratio.toFixed(0)}x`, verdict(ratio >= 100, "at least 100x")],
  );
}

/** A parameter list like that of a guest with two CPUs, two disks and a network card. */
function someParameters(): TypedParameter[] {
  const counters = (prefix: string, names: readonly string[]): TypedParameter[] =>
    names.map((name, index) => ({
      field: `${prefix}.${name}`,
      type: "ullong",
      value: 1_000_003 * (index + 1),
    }));
  const traffic = ["bytes", "pkts", "errs", "drop"];
  return [
    { field: "state.state", type: "int", value: 1 },
    ...counters("cpu", ["time", "user", "system"]),
    ...counters("balloon", ["current", "maximum", "rss", "available", "unused", "usable"]),
    { field: "vcpu.current", type: "uint", value: 2 },
    { field: "vcpu.maximum", type: "uint", value: 2 },
    ...[0, 1].flatMap((cpu) => counters(`vcpu.${cpu}`, ["state", "time", "wait", "delay"])),
    { field: "net.count", type: "uint", value: 1 },
    { field: "net.0.name", type: "string", value: "vnet0" },
    ...counters("net.0.rx", traffic),
    ...counters("net.0.tx", traffic),
    { field: "block.count", type: "uint", value: 2 },
    ...[0, 1].flatMap((disk): TypedParameter[] => [
      { field: `block.${disk}.name`, type: "string", value: `sd${disk}` },
      ...counters(`block.${disk}.rd`, ["reqs", "bytes", "times"]),
      ...counters(`block.${disk}.wr`, ["reqs", "bytes", "times"]),
      ...counters(`block.${disk}.fl`, ["reqs", "times"]),
      ...counters(`block.${disk}`, ["allocation", "capacity", "physical"]),
    ]),
  ];
}

/** The reply with the statistics of many guests; beside it, the bytes through a checksum. */
async function measureStatistics(): Promise<void> {
  const { resultCodec } = procedures.connectGetAllDomainStats;
  const writer = new XdrWriter();
  const parameters = someParameters();
  const uuid = "00112233-4455-6677-8899-aabbccddeeff";
  resultCodec.write(writer, {
    records: Array.from({ length: GUESTS }, (_, id) => ({
      domain: { name: `default_guest-${id}`, uuid, id },
      parameters,
    })),
  });
  const bytes = writer.finish();
  const decode = (): void => {
    resultCodec.read(new XdrReader(bytes));
  };
  const understand = (): void => {
    const { records } = resultCodec.read(new XdrReader(bytes));
    for (const { domain, parameters: each } of records) readGuestStatistics(domain, each);
  };
  const times: number[] = [];
  const whole: number[] = [];
  for (let round = 0; round < DECODINGS; round += 1) {
    times.push(await milliseconds(decode));
    whole.push(await milliseconds(understand));
  }
  rows.push(
    [
      `statistics of ${GUESTS}, ms`,
      least(times).toFixed(1),
      verdict(least(times) < 10, "under 10 ms decoded"),
    ],
    ["decoded and understood", least(whole).toFixed(1), `${parameters.length} values each`],
  );
}

/** Memory in use after everything that can go has gone. */
function residentBytes(): number {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  collect();
  return process.memoryUsage().rss;
}

/** Opening many hosts; beside it, as many bare sockets as that takes connections. */
async function measureHosts(): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), "fleet-"));
  const daemons = fork(new URL("fake-daemons.ts", import.meta.url), [directory, `${HOSTS}`], {
    execArgv: ["--conditions=@polyvisor/source"],
  });
  await once(daemons, "message");
  const path = (index: number): string => join(directory, `${index}.sock`);
  const before = residentBytes();
  const hosts = Object.fromEntries(
    Array.from({ length: HOSTS }, (_, index) => [
      `node-${index}`,
      `qemu+unix:///system?socket=${path(index)}`,
    ]),
  );
  const { hypervisor } = libvirtBackend({ hosts });
  const spent = await milliseconds(() => hypervisor.open(new AbortController().signal));
  const reachable = (await hypervisor.hosts(new AbortController().signal)).filter(
    (host) => host.reachable,
  );
  if (reachable.length !== HOSTS) throw new Error(`${reachable.length} hosts answer`);
  const mebibytes = (residentBytes() - before) / 2 ** 20 / HOSTS;
  rows.push(
    [`opening ${HOSTS} hosts, ms`, spent.toFixed(0), verdict(spent < 2000, "under 2 s")],
    ["MiB a host", mebibytes.toFixed(2), verdict(mebibytes < 1, "under 1 MB")],
  );
  await hypervisor[Symbol.asyncDispose]();
  const bare: Socket[] = [];
  const bareTime = await milliseconds(() =>
    Promise.all(
      Array.from({ length: HOSTS * 3 }, async (_, index) => {
        const socket = createConnection(path(index % HOSTS));
        bare.push(socket);
        await once(socket, "connect");
      }),
    ),
  );
  for (const socket of bare) socket.destroy();
  rows.push([`${HOSTS * 3} bare sockets, ms`, bareTime.toFixed(0), ""]);
  const ended = once(daemons, "exit");
  daemons.disconnect();
  await ended;
  await rm(directory, { recursive: true, force: true });
}

// First, while the memory of this process is as small as that of any other.
await measureHosts();
await measureCalls();
await measureStatistics();
for (const [name = "", value = "", note = ""] of rows) {
  console.log(`${name.padEnd(26)} ${value.padStart(8)}  ${note}`.trimEnd());
}
