/**
 * What 10,000 VMs cost on a simulated data centre: until all of them run, then a change of one VM, and memory. Run with
 * `npm run bench -w packages/simulator`.
 */
import { createPlatform, type Platform } from "@polyvisor/core";
import { type DataCenter, simulateDataCenter } from "@polyvisor/simulator";

const GIBIBYTE = 2 ** 30;
const MEBIBYTE = 2 ** 20;

/** What is asked for: real time and work on two cores that do nothing else. */
const WANTED = {
  machines: Number(process.env["MACHINES"] ?? 10_000),
  runningSeconds: 60,
  residentBytes: GIBIBYTE,
  changeMilliseconds: 2,
};

interface World {
  readonly center: DataCenter;
  readonly platform: Platform;
}

async function openWorld(machines: number): Promise<World> {
  const count = Math.ceil(machines / 100);
  const center = simulateDataCenter({
    hosts: Array.from({ length: count }, (_, index) => ({
      name: `node-${index + 1}`,
      cpus: 256,
      memoryBytes: 1024 * GIBIBYTE,
    })),
  });
  const platform = await center.clock.until(
    createPlatform({ ...center.parts, settings: { virtualMachineCIDRs: ["10.64.0.0/16"] } }),
  );
  return { center, platform };
}

function manifests(index: number): object[] {
  const name = `vm-${index}`;
  const apiVersion = "virtualization.deckhouse.io/v1alpha2";
  const size = "1Gi";
  return [
    {
      apiVersion,
      kind: "VirtualDisk",
      metadata: { name },
      spec: { persistentVolumeClaim: { size } },
    },
    {
      apiVersion,
      kind: "VirtualMachine",
      metadata: { name },
      spec: {
        virtualMachineClassName: "host",
        cpu: { cores: 1, coreFraction: "100%" },
        memory: { size },
        blockDeviceRefs: [{ kind: "VirtualDisk", name }],
      },
    },
  ];
}

async function running({ platform }: World): Promise<number> {
  const { items } = await platform.virtualMachines.list();
  return items.filter(({ status }) => status?.phase === "Running").length;
}

/** Creates VMs and lets time pass until all of them run. */
async function createAll(world: World, machines: number): Promise<void> {
  const { platform, center } = world;
  for (let index = 0; index < machines; index += 1) await platform.apply(manifests(index));
  for (let step = 0; step < 3_600; step += 1) {
    await center.clock.advance(5_000);
    if ((await running(world)) === machines) return;
  }
  throw new Error(`of ${machines} VMs ${await running(world)} run after five hours`);
}

/** Milliseconds of work of the process while something is done so many times. */
async function workOf(rounds: number, act: (round: number) => Promise<unknown>): Promise<number> {
  const before = process.cpuUsage();
  for (let round = 0; round < rounds; round += 1) await act(round);
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000 / rounds;
}

/** Milliseconds of work from a change of one VM until all that follows from it is done. */
async function changeCost({ platform, center }: World, machines: number): Promise<number> {
  const settle = 20;
  let changes = 0;
  const change = async (round: number): Promise<void> => {
    changes += 1;
    const name = `vm-${(round * 37) % machines}`;
    const spec = { terminationGracePeriodSeconds: 60 + changes };
    await platform.virtualMachines.patch(name, { spec });
    await center.clock.advance(settle);
  };
  await workOf(100, change);
  const idle = await workOf(300, () => center.clock.advance(settle));
  return (await workOf(300, change)) - idle;
}

function residentBytes(): number {
  globalThis.gc?.();
  return process.memoryUsage().rss;
}

let failed = false;
function report(what: string, value: string, met?: boolean): void {
  if (met === false) failed = true;
  const verdict = met === undefined ? "" : met ? "  (met)" : "  (NOT met)";
  console.log(`${what.padEnd(58)} ${value.padStart(14)}${verdict}`);
}

const small = await openWorld(100);
await createAll(small, 100);
const smallCost = await changeCost(small, 100);
await small.center.clock.until(Promise.resolve(small.platform[Symbol.asyncDispose]()));

const { machines, runningSeconds, changeMilliseconds } = WANTED;
const world = await openWorld(machines);
const before = residentBytes();
const began = performance.now();
const work = await workOf(1, () => createAll(world, machines));
const seconds = (performance.now() - began) / 1000;
const peak = process.resourceUsage().maxRSS * 1024;
report(
  `${machines} VMs with disks and addresses Running`,
  `${seconds.toFixed(1)} s`,
  seconds <= runningSeconds,
);
report("work of the process for that", `${(work / 1000).toFixed(1)} s`);
report(
  "largest resident set meanwhile",
  `${(peak / MEBIBYTE).toFixed(0)} MiB`,
  peak < WANTED.residentBytes,
);
report(
  "memory for each idle VM, with what the simulator keeps of it",
  `${((residentBytes() - before) / machines / 1024).toFixed(1)} KiB`,
);
report(
  "work for a change of one VM among 100",
  `${smallCost.toFixed(2)} ms`,
  smallCost < changeMilliseconds,
);
const largeCost = await changeCost(world, machines);
const restMinutes = 10;
const rest = await workOf(1, () => world.center.clock.advance(restMinutes * 60_000));
report(
  `work for a change of one VM among ${machines}`,
  `${largeCost.toFixed(2)} ms`,
  largeCost < changeMilliseconds,
);
report(
  `work while nothing happens to ${machines} VMs, of one core`,
  `${((100 * rest) / (restMinutes * 60_000)).toFixed(2)} %`,
);
await world.center.clock.until(Promise.resolve(world.platform[Symbol.asyncDispose]()));
if (failed) process.exitCode = 1;
