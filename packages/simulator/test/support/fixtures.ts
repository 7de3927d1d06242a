import { createHash, randomUUID } from "node:crypto";
import type { GuestDisk, GuestSpec, Hypervisor, Storage } from "@polyvisor/core";
import type {
  FencingFixture,
  HypervisorFixture,
  ImageStoreFixture,
  StorageFixture,
} from "@polyvisor/core/conformance";
import { type DataCenter, type DataCenterOptions, simulateDataCenter } from "@polyvisor/simulator";

/** The two shapes of the ports. */
export type Shape = "explicit" | "delegated";
export const SHAPES: readonly Shape[] = ["explicit", "delegated"];

const never = new AbortController().signal;
const PATIENCE = 10_000;

/** A data centre and its first hypervisor and storage. */
export interface Instance {
  readonly center: DataCenter;
  readonly hypervisor: Hypervisor;
  readonly storage: Storage;
}

/** A data centre that stands still until it is driven. */
export function openCenter(options: DataCenterOptions = {}): Instance {
  const center = simulateDataCenter(options);
  const hypervisor = center.parts.backends.find((part) => part.hypervisor)?.hypervisor;
  const storage = center.parts.backends.find((part) => part.storage)?.storage;
  if (!hypervisor || !storage) throw new Error("the data centre has no backends");
  return { center, hypervisor, storage };
}

/** A data centre whose time jumps from one thing that happens to the next. */
function open(placement: Shape): Instance & AsyncDisposable {
  const instance = openCenter({ placement, guests: { "*/no-agent": { agent: "none" } } });
  const playing = instance.center.clock.play({ speed: Number.POSITIVE_INFINITY });
  return { ...instance, [Symbol.asyncDispose]: async () => playing[Symbol.asyncDispose]() };
}

/** A disk with a volume that is attached to a host. */
export async function disk(instance: Instance, name: string, host: string): Promise<GuestDisk> {
  const { hypervisor, storage } = instance;
  const volume = `vd-${randomUUID()}`;
  const use = { accessMode: "ReadWriteMany", volumeMode: "Block" } as const;
  const spec = { name: volume, storageClass: "storage", sizeBytes: 2 ** 20, use };
  await storage.createVolume(spec, never);
  const to = hypervisor.capabilities.placement === "explicit" ? host : undefined;
  const source = await storage.attach(volume, to, never);
  const serial = volume.replace(/[^a-z0-9]/g, "").slice(0, 20);
  return { name, serial, source, device: "disk", readOnly: false };
}

/** A guest with one disk, on node-1. */
export async function guest(instance: Instance, name: string): Promise<GuestSpec> {
  return {
    uid: randomUUID(),
    incarnation: 1,
    namespace: "default",
    name,
    machine: { osType: "generic", firmware: "bios", paravirtualized: true, tpm: false },
    cpu: { sockets: 1, coresPerSocket: 1, fractionPercent: 100, model: { mode: "host-model" } },
    memoryBytes: 2 ** 30,
    disks: [{ ...(await disk(instance, "vd-root", "node-1")), bootOrder: 1 }],
    interfaces: [
      {
        cidr: "10.66.10.0/24",
        gateway: "10.66.10.1",
        mac: "5e:50:0a:42:0a:02",
        address: "10.66.10.2",
      },
    ],
  };
}

export async function openHypervisor(shape: Shape): Promise<HypervisorFixture> {
  const instance = open(shape);
  const { center, hypervisor, storage } = instance;
  await hypervisor.open(never);
  return {
    hypervisor,
    host: "node-1",
    patience: PATIENCE,
    guest: (name) => guest(instance, name),
    guestWithoutAgent: () => guest(instance, "no-agent"),
    disk: (name) => disk(instance, name, "node-1"),
    prepareMigration: async ({ disks }) => {
      const target = "node-2";
      if (shape === "explicit") {
        for (const { source } of disks) {
          const name = "path" in source ? (source.path.split("/").at(-1) ?? "") : source.name;
          await storage.attach(name, target, never);
        }
      }
      return { target, disks };
    },
    addUnknownGuest: async () => {
      center.host("node-1").addUnknownGuest("stranger");
      return "stranger";
    },
    isUntouched: async (name) => {
      const hosts = await hypervisor.hosts(never);
      return hosts.some(({ unknownGuests }) => unknownGuests.includes(name));
    },
    [Symbol.asyncDispose]: async () => {
      await hypervisor[Symbol.asyncDispose]();
      await instance[Symbol.asyncDispose]();
    },
  };
}

export async function openStorage(shape: Shape): Promise<StorageFixture> {
  const instance = open(shape);
  const { storage } = instance;
  await storage.open(never);
  return {
    storage,
    host: "node-1",
    otherHost: "node-2",
    read: async (name) => {
      await using stream = await storage.content.read({ type: "volume", name }, { signal: never });
      const content = Buffer.alloc(stream.sizeBytes);
      let offset = 0;
      for await (const extent of stream) {
        if (extent.type === "data") content.set(extent.bytes, offset);
        offset += extent.type === "data" ? extent.bytes.length : extent.length;
      }
      return content;
    },
    [Symbol.asyncDispose]: () => Promise.resolve(instance[Symbol.asyncDispose]()),
  };
}

export async function openImageStore(): Promise<ImageStoreFixture> {
  const instance = open("explicit");
  const { imageStore } = instance.center.parts;
  let served = 0;
  return {
    imageStore,
    serve: async (file) => {
      served += 1;
      const url = `http://images.example/${served}.raw`;
      instance.center.serveImage(url, {
        format: "raw",
        sizeBytes: file.length,
        checksum: { sha256: createHash("sha256").update(file).digest("hex") },
        extents: [{ type: "data", bytes: file }],
      });
      return url;
    },
    [Symbol.asyncDispose]: () => Promise.resolve(instance[Symbol.asyncDispose]()),
  };
}

export async function openFencing(): Promise<FencingFixture> {
  const instance = open("explicit");
  const [fencing] = instance.center.fences;
  if (!fencing) throw new Error("the data centre has no fence");
  return {
    fencing,
    host: "node-1",
    hasPower: async () => instance.center.host("node-1").power !== "off",
    [Symbol.asyncDispose]: () => Promise.resolve(instance[Symbol.asyncDispose]()),
  };
}
