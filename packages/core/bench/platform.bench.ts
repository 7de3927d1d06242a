/**
 * How long it takes from applying VMs, each with a blank disk and an address of its own, until all of them run on the
 * fake hypervisor, and what memory that takes. Run with:
 *
 *     node --conditions=@polyvisor/source bench/platform.bench.ts
 */
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { createPlatform, type Platform } from "@polyvisor/core";
import { FakeHypervisor, FakeStorage } from "@polyvisor/core/testing";

const MEBIBYTE = 2 ** 20;

interface Measurement {
  readonly machines: number;
  readonly seconds: number;
  /** Largest resident set of the process. */
  readonly residentBytes: number;
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
        cpu: { cores: 1 },
        memory: { size },
        blockDeviceRefs: [{ kind: "VirtualDisk", name }],
      },
    },
  ];
}

async function allRunning(platform: Platform, machines: number): Promise<void> {
  const running = new Set<string>();
  const options = { fieldSelector: { "status.phase": "Running" } };
  const { items, resourceVersion } = await platform.virtualMachines.list(options);
  for (const { metadata } of items) running.add(metadata.name);
  if (running.size === machines) return;
  for await (const { resource } of platform.virtualMachines.watch({
    ...options,
    resourceVersion,
  })) {
    if (running.add(resource.metadata.name).size === machines) return;
  }
}

async function measure(machines: number): Promise<Measurement> {
  const hosts = Array.from({ length: 10 }, (_, index) => `node-${index}`);
  const hypervisor = new FakeHypervisor({ hosts, memoryBytes: 2 * 2 ** 40 });
  await using platform = await createPlatform({
    backends: [{ hypervisor, storage: new FakeStorage() }],
    settings: { virtualMachineCIDRs: ["10.66.0.0/16"] },
  });
  const began = performance.now();
  await platform.apply(Array.from({ length: machines }, (_, index) => manifests(index)).flat());
  await allRunning(platform, machines);
  const seconds = (performance.now() - began) / 1000;
  const addresses = new Set(
    hypervisor.runningGuests().map(({ uid }) => hypervisor.guest(uid)?.spec.interfaces[0]?.address),
  );
  if (addresses.size !== machines) {
    throw new Error(`${addresses.size} addresses are in use by ${machines} VMs`);
  }
  return { machines, seconds, residentBytes: process.resourceUsage().maxRSS * 1024 };
}

/** Measures in a process of its own, so that one measurement does not warm up the next. */
async function measureApart(machines: number): Promise<Measurement> {
  const self = fileURLToPath(import.meta.url);
  const args = [...process.execArgv, self, String(machines)];
  const { stdout } = await promisify(execFile)(process.execPath, args);
  return JSON.parse(stdout) as Measurement;
}

function row(what: string, value: string, target: string, met: boolean): string {
  return `${what.padEnd(36)} ${value.padStart(10)}   ${target.padEnd(12)} ${met ? "met" : "MISSED"}`;
}

async function report(): Promise<void> {
  const few = await measureApart(1_000);
  const many = await measureApart(10_000);
  const ratio = many.seconds / few.seconds;
  const resident = few.residentBytes / MEBIBYTE;
  console.log(`${"".padEnd(36)} ${"measured".padStart(10)}   target`);
  console.log(
    row("1,000 VMs until all run", `${few.seconds.toFixed(2)} s`, "<= 5 s", few.seconds <= 5),
  );
  console.log(
    row("resident memory with 1,000 VMs", `${resident.toFixed(0)} MB`, "< 300 MB", resident < 300),
  );
  console.log(row("10,000 VMs / 1,000 VMs", `${ratio.toFixed(1)}x`, "<= 12x", ratio <= 12));
  console.log(
    `(10,000 VMs: ${many.seconds.toFixed(2)} s, ${(many.residentBytes / MEBIBYTE).toFixed(0)} MB)`,
  );
}

const [machines] = process.argv.slice(2);
if (machines === undefined) await report();
else process.stdout.write(JSON.stringify(await measure(Number(machines))));
