import {
  type BlockSource,
  PolyvisorError,
  type SparseExtent,
  type SparseStream,
  type Storage,
  type StorageCapabilities,
  type StorageClassInfo,
  type VolumeContent,
  type VolumeSource,
  type VolumeSpec,
  type VolumeState,
  type VolumeUse,
} from "@polyvisor/core";
import type { HostSet } from "./host/host-set.ts";
import type { LibvirtHost } from "./host/libvirt-host.ts";
import { translated } from "./host/translate-error.ts";
import type { PoolVolume } from "./storage/host-pool.ts";

interface FoundVolume {
  readonly host: LibvirtHost;
  readonly volume: PoolVolume;
}

/** A file of one host. */
const USE: VolumeUse = { accessMode: "ReadWriteOnce", volumeMode: "Filesystem" };

/** Keeps volumes as raw files in a directory pool of one host each. */
export class LibvirtStorage implements Storage {
  readonly name: string;
  readonly capabilities: StorageCapabilities = {
    blockSources: ["file"],
    expansion: false,
    snapshots: false,
    cloning: false,
  };
  readonly content: VolumeContent = {
    fill: (name, stream, options) => this.#fill(name, stream, options),
    read: (source, options) => this.#read(source, options.signal),
  };
  readonly #hosts: HostSet;
  readonly #className: string;

  constructor(name: string, className: string, hosts: HostSet) {
    this.name = name;
    this.#className = className;
    this.#hosts = hosts;
  }

  open(signal: AbortSignal): Promise<void> {
    return this.#hosts.open(signal);
  }

  async classes(): Promise<readonly StorageClassInfo[]> {
    return [
      {
        name: this.#className,
        isDefault: true,
        uses: [USE],
        bindingMode: "Immediate",
        expandable: false,
      },
    ];
  }

  async createVolume(spec: VolumeSpec, signal: AbortSignal): Promise<VolumeState> {
    if (spec.storageClass !== this.#className) {
      const message = `storage "${this.name}" has no class "${spec.storageClass}", only "${this.#className}"`;
      throw new PolyvisorError("POLYVISOR_NOT_FOUND", message);
    }
    const found = await this.#find(spec.name, signal);
    const { host, volume } = found ?? (await this.#create(spec, signal));
    if (volume.sizeBytes !== spec.sizeBytes) {
      const message = `volume "${spec.name}" has ${volume.sizeBytes} bytes instead of ${spec.sizeBytes}: delete it first`;
      throw new PolyvisorError("POLYVISOR_ALREADY_EXISTS", message);
    }
    return this.#state(spec.name, { host, volume });
  }

  async getVolume(name: string, signal: AbortSignal): Promise<VolumeState | undefined> {
    const found = await this.#find(name, signal);
    return found && this.#state(name, found);
  }

  /** Every host is asked, also after the volume is gone: the pool that it was the last in may still be there. */
  async deleteVolume(name: string, signal: AbortSignal): Promise<void> {
    await Promise.all(
      this.#hosts.all().map((host) => translated(host.name, () => host.pool.delete(name, signal))),
    );
  }

  async attach(
    name: string,
    hostName: string | undefined,
    signal: AbortSignal,
  ): Promise<BlockSource> {
    const { host, volume } = await this.#require(name, signal);
    if (host.name !== hostName) {
      const message = `volume "${name}" is on host "${host.name}" and cannot be used on host "${hostName}"`;
      throw new PolyvisorError("POLYVISOR_REFUSED", message);
    }
    const path = await translated(host.name, () => host.pool.path(volume, signal));
    return { type: "file", path, format: "raw" };
  }

  /** A file needs no detaching. */
  async detach(): Promise<void> {}

  [Symbol.asyncDispose](): Promise<void> {
    return this.#hosts.release();
  }

  async #create(spec: VolumeSpec, signal: AbortSignal): Promise<FoundVolume> {
    const host = await this.#roomiest(signal);
    const volume = await translated(host.name, () =>
      host.pool.create(spec.name, spec.sizeBytes, signal),
    );
    return { host, volume };
  }

  async #roomiest(signal: AbortSignal): Promise<LibvirtHost> {
    const reachable = this.#hosts.all().filter(({ isReachable }) => isReachable);
    const offers = await Promise.all(
      reachable.map(async (host) => ({
        host,
        available: await translated(host.name, () => host.pool.availableBytes(signal)),
      })),
    );
    const best = offers.toSorted((a, b) => b.available - a.available)[0];
    if (best) return best.host;
    throw new PolyvisorError("POLYVISOR_UNAVAILABLE", `no host of storage "${this.name}" answers`);
  }

  async #fill(
    name: string,
    stream: SparseStream,
    { signal, onProgress }: Parameters<VolumeContent["fill"]>[2],
  ): Promise<void> {
    const { host, volume } = await this.#require(name, signal);
    if (stream.sizeBytes > volume.sizeBytes) {
      const message = `the content has ${stream.sizeBytes} bytes, and volume "${name}" has room for ${volume.sizeBytes}`;
      throw new PolyvisorError("POLYVISOR_INVALID", message);
    }
    const extents = filledUp(stream, volume.sizeBytes, onProgress);
    await translated(host.name, () => host.pool.write(volume, extents, signal));
  }

  async #read({ type, name }: VolumeSource, signal: AbortSignal): Promise<SparseStream> {
    if (type !== "volume") {
      const message = `storage "${this.name}" has no snapshots`;
      throw new PolyvisorError("POLYVISOR_UNSUPPORTED", message);
    }
    const { host, volume } = await this.#require(name, signal);
    return {
      sizeBytes: volume.sizeBytes,
      [Symbol.asyncIterator]: () => host.pool.read(volume, signal),
      [Symbol.asyncDispose]: async () => {},
    };
  }

  async #require(name: string, signal: AbortSignal): Promise<FoundVolume> {
    const found = await this.#find(name, signal);
    if (found) return found;
    throw new PolyvisorError("POLYVISOR_NOT_FOUND", `volume "${name}" does not exist`);
  }

  async #find(name: string, signal: AbortSignal): Promise<FoundVolume | undefined> {
    const hosts = this.#hosts.all();
    const searched = await Promise.allSettled(
      hosts.map(async (host) => {
        const volume = await translated(host.name, () => host.pool.volume(name, signal));
        return volume && { host, volume };
      }),
    );
    for (const result of searched)
      if (result.status === "fulfilled" && result.value) return result.value;
    // A host that did not answer may have it.
    const failed = searched.find((result) => result.status === "rejected");
    if (failed) throw failed.reason;
    return undefined;
  }

  #state(name: string, { host, volume }: FoundVolume): VolumeState {
    return {
      name,
      storageClass: this.#className,
      sizeBytes: volume.sizeBytes,
      use: USE,
      hosts: [host.name],
    };
  }
}

/** The stream with a hole behind it up to the end of the volume: an upload cuts a file off where it ends. */
async function* filledUp(
  stream: SparseStream,
  sizeBytes: number,
  onProgress: ((bytes: number) => void) | undefined,
): AsyncGenerator<SparseExtent> {
  let done = 0;
  for await (const extent of stream) {
    yield extent;
    done += extent.type === "data" ? extent.bytes.length : extent.length;
    onProgress?.(done);
  }
  if (done < sizeBytes) yield { type: "hole", length: sizeBytes - done };
}
