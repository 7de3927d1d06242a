// Streams into and out of volumes beside virsh doing the same with the same daemon, and a volume that is mostly hole.
import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { libvirtBackend } from "@polyvisor/backend-libvirt";
import { type EmbeddedHost, startEmbeddedHost } from "@polyvisor/backend-libvirt/lab";
import type { SparseExtent, SparseStream, Storage } from "@polyvisor/core";

const MEBIBYTE = 2 ** 20;
const DATA_MEBIBYTES = 1024;
const HUGE_BYTES = 100 * 2 ** 30;
const ROUNDS = 3;
const signal = new AbortController().signal;
const use = { accessMode: "ReadWriteOnce", volumeMode: "Filesystem" } as const;

async function virsh(host: EmbeddedHost, ...args: string[]): Promise<void> {
  const { exitCode, stderr } = await host.run("virsh", args);
  if (exitCode !== 0) throw new Error(`virsh ${args.join(" ")}: ${stderr}`);
}

/** Data, with a hole behind it up to the size. */
function content(sizeBytes: number): SparseStream {
  const bytes = Buffer.alloc(MEBIBYTE, 7);
  const hole = sizeBytes - DATA_MEBIBYTES * MEBIBYTE;
  return {
    sizeBytes,
    async *[Symbol.asyncIterator](): AsyncGenerator<SparseExtent> {
      for (let index = 0; index < DATA_MEBIBYTES; index += 1) yield { type: "data", bytes };
      if (hole > 0) yield { type: "hole", length: hole };
    },
    [Symbol.asyncDispose]: async () => {},
  };
}

async function fill(storage: Storage, sizeBytes: number): Promise<number> {
  await storage.createVolume({ name: "vd", storageClass: "local", sizeBytes, use }, signal);
  return timed(() => storage.content.fill("vd", content(sizeBytes), { signal }));
}

async function read(storage: Storage): Promise<number> {
  return timed(async () => {
    await using stream = await storage.content.read({ type: "volume", name: "vd" }, { signal });
    let done = 0;
    for await (const extent of stream) {
      done += extent.type === "data" ? extent.bytes.length : extent.length;
    }
    if (done !== stream.sizeBytes) throw new Error(`read ${done} bytes`);
  });
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const began = performance.now();
  await work();
  return (performance.now() - began) / 1000;
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}

const rate = (seconds: number): string => `${Math.round(DATA_MEBIBYTES / seconds)} MiB/s`;
const verdict = (met: boolean): string => (met ? "met" : "MISSED");

await using host = await startEmbeddedHost();
const { storage } = libvirtBackend({ hosts: { "node-1": host.uri } });
await storage.open(signal);
const file = join(host.directory, "data");
await writeFile(file, Buffer.alloc(DATA_MEBIBYTES * MEBIBYTE, 7));
const times: Record<"up" | "virshUp" | "down" | "virshDown" | "sparse", number[]> = {
  up: [],
  virshUp: [],
  down: [],
  virshDown: [],
  sparse: [],
};
const pool = ["--pool", "polyvisor"];
for (let round = 0; round < ROUNDS; round += 1) {
  times.up.push(await fill(storage, DATA_MEBIBYTES * MEBIBYTE));
  times.down.push(await read(storage));
  times.virshDown.push(
    await timed(() => virsh(host, "vol-download", ...pool, "vd", `${file}.out`)),
  );
  await rm(`${file}.out`);
  await storage.deleteVolume("vd", signal);
  // Into a volume that is as new as ours was.
  await virsh(host, "pool-define-as", "virsh", "dir", "--target", `${host.directory}/virsh`);
  await virsh(host, "pool-build", "virsh");
  await virsh(host, "pool-start", "virsh");
  const size = `${DATA_MEBIBYTES}M`;
  await virsh(host, "vol-create-as", "virsh", "vd", size, "--allocation", "0", "--format", "raw");
  times.virshUp.push(await timed(() => virsh(host, "vol-upload", "--pool", "virsh", "vd", file)));
  await virsh(host, "vol-delete", "--pool", "virsh", "vd");
  await virsh(host, "pool-destroy", "virsh");
  await virsh(host, "pool-delete", "virsh");
  await virsh(host, "pool-undefine", "virsh");
  times.sparse.push(await fill(storage, HUGE_BYTES));
  await storage.deleteVolume("vd", signal);
}
await storage[Symbol.asyncDispose]();

const [up, virshUp] = [median(times.up), median(times.virshUp)];
const [down, virshDown] = [median(times.down), median(times.virshDown)];
const sparse = median(times.sparse);
console.log(`Streams of ${DATA_MEBIBYTES} MiB of data, median of ${ROUNDS} rounds`);
console.table({
  "fill a volume": { rate: rate(up), "share of virsh": (virshUp / up).toFixed(2) },
  "virsh vol-upload": { rate: rate(virshUp), "share of virsh": "1.00" },
  "read a volume": { rate: rate(down), "share of virsh": (virshDown / down).toFixed(2) },
  "virsh vol-download": { rate: rate(virshDown), "share of virsh": "1.00" },
  "fill 100 GiB, the rest a hole": {
    rate: rate(sparse),
    "share of virsh": (virshUp / sparse).toFixed(2),
  },
});
console.log(`Upload of at least 80 % of virsh's: ${verdict(virshUp / up >= 0.8)}`);
console.log(`Download of at least 80 % of virsh's: ${verdict(virshDown / down >= 0.8)}`);
console.log(
  `100 GiB with that data in it take ${(sparse / up).toFixed(2)} times as long as the data alone; at most 1.2 are wanted: ${verdict(sparse / up <= 1.2)}`,
);
