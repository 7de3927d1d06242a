// Live migration of an idle guest on shared storage, beside `virsh migrate` of the same guest.
import { join } from "node:path";
import { libvirtBackend } from "@polyvisor/backend-libvirt";
import { buildGuestImage, type LabHost, startLab } from "@polyvisor/backend-libvirt/lab";
import type { GuestSpec } from "@polyvisor/core";

const ROUNDS = 4;
const BOOT_MILLISECONDS = 15_000;
const TARGET_RATIO = 1.2;
const signal = new AbortController().signal;

async function run(host: LabHost, ...command: readonly [string, ...string[]]): Promise<string> {
  const [program, ...args] = command;
  const { exitCode, stdout, stderr } = await host.run(program, args);
  if (exitCode !== 0) throw new Error(`${command.join(" ")}: ${stderr}`);
  return stdout;
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const began = performance.now();
  await work();
  return performance.now() - began;
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}

await using lab = await startLab();
const [first, second] = lab.hosts as [LabHost, LabHost];
const { hypervisor } = libvirtBackend({
  hosts: Object.fromEntries(lab.hosts.map(({ name, uri, peerUri }) => [name, { uri, peerUri }])),
  storageClasses: [
    { name: "shared", pool: { type: "directory", path: lab.sharedDirectory, shared: true } },
  ],
});
await hypervisor.open(signal);
const path = join(lab.sharedDirectory, "root");
const { path: image } = await buildGuestImage();
await run(first, "qemu-img", "create", "-q", "-f", "qcow2", "-b", image, "-F", "qcow2", path);
const guest: GuestSpec = {
  uid: "6f1f5b0e-3f3f-4f0e-9d6e-1f2a3b4c5d6e",
  incarnation: 1,
  namespace: "default",
  name: "idle",
  machine: { osType: "generic", firmware: "bios", paravirtualized: true, tpm: false },
  cpu: { sockets: 1, coresPerSocket: 1, fractionPercent: 100, model: { mode: "host-model" } },
  memoryBytes: 256 * 2 ** 20,
  disks: [
    {
      name: "root",
      serial: "root",
      source: { type: "file", path, format: "qcow2" },
      device: "disk",
      readOnly: false,
      bootOrder: 1,
    },
  ],
  interfaces: [],
};
await hypervisor.startGuest(guest, { host: first.name }, signal);
await new Promise((resolve) => setTimeout(resolve, BOOT_MILLISECONDS));

let [here, there] = [first, second];
async function migrateOurs(id: string): Promise<void> {
  const events = hypervisor.watch(signal);
  const request = { id, source: here.name, target: { host: there.name }, disks: guest.disks };
  await hypervisor.migration?.start(guest, { ...request, autoConverge: false }, signal);
  for await (const event of events) {
    const migration = event.type === "guest" ? event.guest.migration : undefined;
    if (migration?.id !== id) continue;
    if (migration.phase === "succeeded") break;
    if (migration.phase === "failed") throw new Error(migration.message);
  }
  [here, there] = [there, here];
}

const flags = [
  "--live",
  "--p2p",
  "--persistent",
  "--undefinesource",
  "--abort-on-error",
  "--unsafe",
];
async function migrateVirsh(): Promise<void> {
  await run(here, "virsh", "migrate", ...flags, "default_idle", there.peerUri);
  [here, there] = [there, here];
}

const ours: number[] = [];
const theirs: number[] = [];
for (let round = 0; round < ROUNDS; round += 1) {
  ours.push(await timed(() => migrateOurs(`round-${round}`)));
  theirs.push(await timed(migrateVirsh));
}
await hypervisor.stopGuest(guest, { host: here.name }, "power-off", signal);
await hypervisor.removeGuest(guest.uid, { host: here.name }, signal);
await hypervisor[Symbol.asyncDispose]();

const ratio = median(ours) / median(theirs);
console.log(`Live migration of an idle guest of 256 MiB, median of ${ROUNDS} rounds`);
console.table({
  "start() to succeeded": { milliseconds: Math.round(median(ours)), ratio: ratio.toFixed(2) },
  "virsh migrate": { milliseconds: Math.round(median(theirs)), ratio: "1.00" },
});
console.log(
  `At most ${TARGET_RATIO} times virsh's are wanted: ${ratio <= TARGET_RATIO ? "met" : "MISSED"}`,
);
