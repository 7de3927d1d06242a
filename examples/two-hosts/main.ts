// Two libvirt hosts on one machine: a guest goes from one to the other and back while it works and prints, then a host
// is cut off. Everything is removed in the end.
import { libvirtBackend } from "@polyvisor/backend-libvirt";
import { type Lab, type LabHost, startLab } from "@polyvisor/backend-libvirt/lab";
import type { GuestSpec, Hypervisor } from "@polyvisor/core";
import { ConsoleWatch } from "./console-watch.ts";
import { makeGuest } from "./guest.ts";

/** Milliseconds for everything. */
const TIME_LIMIT = 300_000;
const TRIPS = 4;
const TICKS_BETWEEN = 3;

function say(message: string): void {
  process.stdout.write(`\n==> ${message}\n`);
}

function note(message: string): void {
  process.stdout.write(`    ${message}\n`);
}

function percent(done: number, total: number): string {
  return `${Math.floor((100 * done) / total)} %`;
}

/** Migrates the guest and tells how it goes on, until it is at the other host. */
async function migrate(
  hypervisor: Hypervisor,
  guest: GuestSpec,
  trip: { readonly id: string; readonly from: string; readonly to: string },
  signal: AbortSignal,
): Promise<void> {
  const began = performance.now();
  const events = hypervisor.watch(signal);
  const request = { id: trip.id, source: trip.from, target: { host: trip.to } };
  await hypervisor.migration?.start(
    guest,
    { ...request, disks: guest.disks, autoConverge: true },
    signal,
  );
  let told = "";
  for await (const event of events) {
    const migration = event.type === "guest" ? event.guest.migration : undefined;
    if (migration?.id !== trip.id) continue;
    const { phase, totalBytes, remainingBytes, message } = migration;
    if (phase === "failed" || phase === "cancelled") throw new Error(message ?? phase);
    const copied =
      totalBytes === undefined || remainingBytes === undefined
        ? ""
        : ` ${percent(totalBytes - remainingBytes, totalBytes)}`;
    if (phase + copied !== told) note(`${phase}${copied}`);
    told = phase + copied;
    if (phase === "succeeded") break;
  }
  note(`${trip.from} -> ${trip.to} in ${Math.round(performance.now() - began)} ms`);
}

async function travel(
  hypervisor: Hypervisor,
  guest: GuestSpec,
  lab: Lab,
  signal: AbortSignal,
): Promise<LabHost> {
  let [here, there] = lab.hosts as [LabHost, LabHost];
  const watch = new ConsoleWatch();
  const console = await hypervisor.consoles?.openSerial(guest, { signal });
  if (console === undefined) throw new Error("the hypervisor has no serial consoles");
  const following = watch.follow(console, (line) => note(`| ${line}`));
  try {
    say("The guest boots and begins to count");
    await watch.more(1, signal);
    for (let trip = 1; trip <= TRIPS; trip += 1) {
      await watch.more(TICKS_BETWEEN, signal);
      say(`Migration ${trip}: from ${here.name} to ${there.name}`);
      await migrate(
        hypervisor,
        guest,
        { id: `trip-${trip}`, from: here.name, to: there.name },
        signal,
      );
      [here, there] = [there, here];
    }
    await watch.more(TICKS_BETWEEN, signal);
    const { last, missing } = watch.ticks;
    say(`The guest counted to ${last}; the console missed ${missing} of it`);
  } finally {
    await console[Symbol.asyncDispose]();
    await following;
  }
  return here;
}

async function report(
  hypervisor: Hypervisor,
  guest: GuestSpec,
  signal: AbortSignal,
): Promise<void> {
  for (const { name, reachable, message } of await hypervisor.hosts(signal)) {
    note(reachable ? `${name} answers` : `${name} does not answer: ${message}`);
  }
  const { guests, hosts } = await hypervisor.guests(signal);
  const found = guests.find(({ uid }) => uid === guest.uid);
  note(
    found
      ? `the guest is ${found.power} on ${found.host}`
      : `nobody knows about the guest: only ${hosts.join(", ")} answered, so it counts as running where it was`,
  );
}

/** Resolves when a host is in the state, whatever tells it. */
async function untilReachable(
  hypervisor: Hypervisor,
  name: string,
  reachable: boolean,
  signal: AbortSignal,
): Promise<void> {
  const isSo = async (): Promise<boolean> =>
    (await hypervisor.hosts(signal)).some(
      (host) => host.name === name && host.reachable === reachable,
    );
  const events = hypervisor.watch(signal);
  if (await isSo()) return;
  for await (const event of events) if (event.type === "host" && (await isSo())) return;
}

async function main(signal: AbortSignal): Promise<void> {
  say("Two private libvirt hosts on a network of their own");
  await using lab = await startLab({ signal, onProgress: note });
  const { hypervisor, storage } = libvirtBackend({
    hosts: Object.fromEntries(
      lab.hosts.map(({ name, networkUri: uri, peerUri }) => [name, { uri, peerUri }]),
    ),
    storageClasses: [
      { name: "shared", pool: { type: "directory", path: lab.sharedDirectory, shared: true } },
    ],
  });
  await using stack = new AsyncDisposableStack();
  stack.use(hypervisor);
  stack.use(storage);
  await Promise.all([hypervisor.open(signal), storage.open(signal)]);
  const [first] = lab.hosts as [LabHost, LabHost];
  const guest = await makeGuest(storage, first, signal);
  await hypervisor.startGuest(guest, { host: first.name }, signal);
  const host = await travel(hypervisor, guest, lab, signal);

  say(`${host.name}, which has the guest, is cut off`);
  await host.cutOff();
  await untilReachable(hypervisor, host.name, false, signal);
  await report(hypervisor, guest, signal);

  say(`${host.name} is back`);
  await host.rejoin();
  await untilReachable(hypervisor, host.name, true, signal);
  await report(hypervisor, guest, signal);

  say("Everything is removed");
  const where = { host: host.name };
  await hypervisor.stopGuest(guest, where, "power-off", signal);
  await hypervisor.removeGuest(guest.uid, where, signal);
  await storage.deleteVolume("vd-traveller", signal);
}

const ending = new AbortController();
process.once("SIGINT", () => ending.abort(new Error("interrupted")));
await main(AbortSignal.any([ending.signal, AbortSignal.timeout(TIME_LIMIT)]));
