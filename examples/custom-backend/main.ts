import { Readable } from "node:stream";
import { BoundedChannel, PolyvisorError } from "@polyvisor/core";
import type { Backend, GuestState, HypervisorEvent, VolumeState } from "@polyvisor/core";
const HOST = { name: "host-1", reachable: true, cpus: 8, memoryBytes: 2 ** 34, labels: {} };
const OS = { osTypes: ["generic"], firmware: ["bios"], tpm: false } as const;
const GUESTS = { ...OS, emulatedDevices: false, cpuFraction: false, answerFiles: false };
const FACETS = { migration: false, hotplug: false, agent: false };
const FILES = { blockSources: ["file"], consoles: { serial: false, vnc: false } } as const;
const CLASS = { name: "minimal", isDefault: true, bindingMode: "Immediate" } as const;
const USE = { accessMode: "ReadWriteOnce", volumeMode: "Filesystem" } as const;
const fail = (code: "REFUSED" | "NOT_FOUND" | "ALREADY_EXISTS" | "INVALID", why: string): never => {
  throw new PolyvisorError(`POLYVISOR_${code}`, why);
};
/** One host whose guests are entries of a map, and a storage whose volumes are buffers. */
function minimalBackend(unknownGuests: readonly string[] = []): Required<Backend> {
  const guests = new Map<string, GuestState>();
  const volumes = new Map<string, { readonly state: VolumeState; readonly bytes: Buffer }>();
  const find = (name: string) => volumes.get(name) ?? fail("NOT_FOUND", `no volume "${name}"`);
  const watches = new Set<BoundedChannel<HypervisorEvent>>();
  const tell = (event: HypervisorEvent): void => watches.forEach((watch) => watch.push(event));
  const keep = (guest: GuestState): GuestState => {
    guests.set(guest.uid, guest);
    tell({ type: "guest", guest });
    return guest;
  };
  const hypervisor: Required<Backend>["hypervisor"] = {
    name: "minimal",
    capabilities: { ...FILES, ...FACETS, placement: "explicit", guests: GUESTS },
    open: async () => {},
    hosts: async () => [{ ...HOST, hypervisor: "minimal", hypervisorVersion: "1", unknownGuests }],
    guests: async () => ({ guests: [...guests.values()], hosts: [HOST.name] }),
    watch(signal) {
      const onOverflow = (): Error => new Error("the watch fell behind");
      const watch = new BoundedChannel<HypervisorEvent>({ capacity: 1000, onOverflow });
      watches.add(watch);
      signal.addEventListener("abort", () => watch.end());
      return watch;
    },
    async startGuest({ uid, incarnation, namespace, name }, place, signal) {
      signal.throwIfAborted();
      if (!("host" in place) || place.host !== HOST.name) return fail("REFUSED", "no such host");
      const known = guests.get(uid);
      if (known?.incarnation === incarnation) return known;
      if (known && (known.power !== "stopped" || known.incarnation > incarnation))
        return fail("REFUSED", `incarnation ${known.incarnation} is here`);
      for (const other of guests.values())
        if (other.uid !== uid && other.namespace === namespace && other.name === name)
          return fail("REFUSED", `another guest is called ${namespace}/${name}`);
      return keep({ uid, incarnation, namespace, name, host: HOST.name, power: "running" });
    },
    async stopGuest({ uid, incarnation }) {
      const guest = guests.get(uid);
      if (guest?.incarnation === incarnation && guest.power !== "stopped")
        keep({ ...guest, power: "stopped", stopReason: "stopped" });
    },
    async removeGuest(uid) {
      if ((guests.get(uid)?.power ?? "stopped") !== "stopped") fail("REFUSED", "the guest runs");
      if (guests.delete(uid)) tell({ type: "guest-removed", uid, host: HOST.name });
    },
    [Symbol.asyncDispose]: async () => watches.forEach((watch) => watch.end()),
  };
  const storage: Required<Backend>["storage"] = {
    name: "minimal-storage",
    capabilities: { blockSources: ["file"], expansion: false, snapshots: false, cloning: false },
    open: async () => {},
    classes: async () => [{ ...CLASS, uses: [USE], expandable: false }],
    async createVolume({ name, storageClass, sizeBytes, use }) {
      if (storageClass !== CLASS.name) return fail("NOT_FOUND", `no class "${storageClass}"`);
      const state = { name, storageClass, sizeBytes, use };
      const known = volumes.get(name)?.state ?? state;
      if (known.sizeBytes !== sizeBytes) fail("ALREADY_EXISTS", `"${name}" has another size`);
      if (known === state) volumes.set(name, { state, bytes: Buffer.alloc(sizeBytes) });
      return known;
    },
    getVolume: async (name) => volumes.get(name)?.state,
    deleteVolume: async (name) => void volumes.delete(name),
    attach: async (name) => ({ type: "file", path: `/${find(name).state.name}`, format: "raw" }),
    detach: async () => {},
    content: {
      async fill(name, stream, { signal, onProgress }) {
        let offset = 0;
        if (stream.sizeBytes > find(name).bytes.length) fail("INVALID", `"${name}" is too small`);
        for await (const extent of stream) {
          signal.throwIfAborted();
          if (extent.type === "data") find(name).bytes.set(extent.bytes, offset);
          offset += "bytes" in extent ? extent.bytes.length : extent.length;
          onProgress?.(offset);
        }
      },
      async read({ name }) {
        const { bytes } = find(name);
        return Object.assign(Readable.from([{ type: "data", bytes }]), { sizeBytes: bytes.length });
      },
    },
    [Symbol.asyncDispose]: async () => {},
  };
  return { hypervisor, storage };
}

// The backend ends here. What follows proves it.
import { randomUUID } from "node:crypto";
import {
  formatReport,
  type HypervisorFixture,
  hypervisorSuite,
  runConformance,
  type StorageFixture,
  storageSuite,
} from "@polyvisor/core/conformance";

async function openHypervisor(): Promise<HypervisorFixture> {
  const strangers: string[] = [];
  const { hypervisor } = minimalBackend(strangers);
  return {
    hypervisor,
    host: "host-1",
    patience: 1_000,
    guest: async (name) => ({
      uid: randomUUID(),
      incarnation: 1,
      namespace: "default",
      name,
      machine: { osType: "generic", firmware: "bios", paravirtualized: true, tpm: false },
      cpu: { sockets: 1, coresPerSocket: 1, fractionPercent: 100, model: { mode: "host-model" } },
      memoryBytes: 64 * 2 ** 20,
      disks: [],
      interfaces: [],
    }),
    addUnknownGuest: async () => {
      strangers.push("stranger");
      return "stranger";
    },
    isUntouched: async (name) => strangers.includes(name),
    [Symbol.asyncDispose]: async () => hypervisor[Symbol.asyncDispose](),
  };
}

async function openStorage(): Promise<StorageFixture> {
  const { storage } = minimalBackend();
  const { signal } = new AbortController();
  return {
    storage,
    host: "host-1",
    async read(name) {
      const chunks: Uint8Array[] = [];
      const source = { type: "volume", name } as const;
      for await (const extent of await storage.content.read(source, { signal }))
        chunks.push(extent.type === "data" ? extent.bytes : Buffer.alloc(extent.length));
      return Buffer.concat(chunks);
    },
    [Symbol.asyncDispose]: async () => storage[Symbol.asyncDispose](),
  };
}

const ofHypervisor = await runConformance(hypervisorSuite, openHypervisor);
const ofStorage = await runConformance(storageSuite, openStorage);
console.log(formatReport("Hypervisor: minimal", ofHypervisor));
console.log(formatReport("Storage: minimal", ofStorage));
const failed = [...ofHypervisor, ...ofStorage].some(({ outcome }) => outcome === "failed");
if (failed) process.exitCode = 1;
