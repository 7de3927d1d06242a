import type { BlockSource } from "../backend/block-source.ts";
import type { SparseStream } from "../backend/sparse-stream.ts";
import type {
  Storage,
  StorageCapabilities,
  StorageClassInfo,
  VolumeContent,
  VolumeExpansion,
  VolumeSnapshots,
  VolumeSnapshotState,
  VolumeSource,
  VolumeSpec,
  VolumeState,
} from "../backend/storage.ts";
import { PolyvisorError } from "../util/errors.ts";

/** A piece of a fake volume that was written. */
export interface WrittenExtent {
  readonly offset: number;
  readonly bytes: Uint8Array;
}

/** What a {@link FakeStorage} is made of. */
export interface FakeStorageOptions {
  /** Default `fake-storage`. */
  readonly name?: string;
  /** Default: one class `fake`, whose volumes are made at once, can grow and have snapshots. */
  readonly classes?: readonly StorageClassInfo[];
}

const DEFAULT_CLASSES: readonly StorageClassInfo[] = [
  {
    name: "fake",
    isDefault: true,
    uses: [{ accessMode: "ReadWriteMany", volumeMode: "Block" }],
    bindingMode: "Immediate",
    expandable: true,
    snapshotClass: "fake-snapshots",
  },
];

interface FakeVolume {
  state: VolumeState;
  written: readonly WrittenExtent[];
}

/**
 * A storage in memory, for tests, that reaches every host.
 *
 * What it does not model: capacity, and time.
 */
export class FakeStorage implements Storage {
  readonly name: string;
  readonly capabilities: StorageCapabilities = {
    blockSources: ["file"],
    expansion: true,
    snapshots: true,
    cloning: true,
  };
  /** Volume and host of what is attached. */
  readonly attachments: Set<string> = new Set();
  readonly #classes: readonly StorageClassInfo[];
  readonly #volumes = new Map<string, FakeVolume>();
  readonly #snapshots = new Map<
    string,
    { readonly state: VolumeSnapshotState; readonly written: readonly WrittenExtent[] }
  >();

  constructor({ name = "fake-storage", classes = DEFAULT_CLASSES }: FakeStorageOptions = {}) {
    this.name = name;
    this.#classes = classes;
  }

  async open(): Promise<void> {}

  async classes(): Promise<readonly StorageClassInfo[]> {
    return this.#classes;
  }

  async createVolume(spec: VolumeSpec): Promise<VolumeState> {
    const { name, storageClass, sizeBytes, use, host, source } = spec;
    const found = this.#classes.find((candidate) => candidate.name === storageClass);
    if (found === undefined) throw notFound(`storage class "${storageClass}"`);
    const known = this.#volumes.get(name)?.state;
    if (known && (known.sizeBytes !== sizeBytes || known.storageClass !== storageClass)) {
      throw new PolyvisorError(
        "POLYVISOR_ALREADY_EXISTS",
        `volume "${name}" has another size or class`,
      );
    }
    if (known) return known;
    const origin = source && this.#find(source);
    if (origin && origin.state.sizeBytes > sizeBytes) {
      throw new PolyvisorError(
        "POLYVISOR_INVALID",
        `${source.type} "${source.name}" has ${origin.state.sizeBytes} bytes, and volume "${name}" has room for ${sizeBytes}`,
      );
    }
    const written = origin?.written ?? [];
    const local = host !== undefined && use.accessMode === "ReadWriteOnce";
    const state: VolumeState = {
      name,
      storageClass,
      sizeBytes,
      use,
      ...(local && { hosts: [host] }),
    };
    this.#volumes.set(name, { state, written });
    return state;
  }

  async getVolume(name: string): Promise<VolumeState | undefined> {
    return this.#volumes.get(name)?.state;
  }

  async deleteVolume(name: string): Promise<void> {
    this.#volumes.delete(name);
  }

  async attach(name: string, host: string | undefined): Promise<BlockSource> {
    if (!this.#volumes.has(name)) throw notFound(`volume "${name}"`);
    this.attachments.add(`${name} ${host}`);
    return { type: "file", path: `/volumes/${name}`, format: "raw" };
  }

  async detach(name: string, host: string | undefined): Promise<void> {
    this.attachments.delete(`${name} ${host}`);
  }

  readonly content: VolumeContent = {
    fill: async (name, stream: SparseStream, { signal, onProgress }) => {
      const volume = this.#volume(name);
      if (stream.sizeBytes > volume.state.sizeBytes) {
        const message = `the content has ${stream.sizeBytes} bytes, and volume "${name}" has room for ${volume.state.sizeBytes}`;
        throw new PolyvisorError("POLYVISOR_INVALID", message);
      }
      const written: WrittenExtent[] = [];
      volume.written = written;
      let offset = 0;
      for await (const extent of stream) {
        signal.throwIfAborted();
        if (extent.type === "data") written.push({ offset, bytes: extent.bytes });
        offset += extent.type === "data" ? extent.bytes.length : extent.length;
        onProgress?.(offset);
      }
    },
    read: async (source) => {
      const { state, written } = this.#find(source);
      return contentOf(state.sizeBytes, written);
    },
  };

  readonly expansion: VolumeExpansion = {
    expand: async (name, sizeBytes) => {
      const volume = this.#volume(name);
      if (volume.state.sizeBytes < sizeBytes) volume.state = { ...volume.state, sizeBytes };
      return volume.state;
    },
  };

  readonly snapshots: VolumeSnapshots = {
    create: async ({ name, volume }) => {
      const known = this.#snapshots.get(name)?.state;
      if (known && known.volume !== volume) {
        throw new PolyvisorError(
          "POLYVISOR_ALREADY_EXISTS",
          `snapshot "${name}" is of another volume`,
        );
      }
      if (known) return known;
      const { state, written } = this.#volume(volume);
      const { storageClass, sizeBytes } = state;
      const snapshot: VolumeSnapshotState = { name, volume, storageClass, sizeBytes };
      this.#snapshots.set(name, { state: snapshot, written });
      return snapshot;
    },
    get: async (name) => this.#snapshots.get(name)?.state,
    delete: async (name) => void this.#snapshots.delete(name),
  };

  async [Symbol.asyncDispose](): Promise<void> {}

  /** Names of all volumes. */
  volumeNames(): string[] {
    return [...this.#volumes.keys()].sort();
  }

  /** Names of all snapshots. */
  snapshotNames(): string[] {
    return [...this.#snapshots.keys()].sort();
  }

  /** What was written to a volume, in order. */
  written(name: string): readonly WrittenExtent[] {
    return this.#volumes.get(name)?.written ?? [];
  }

  /** Writes to a volume as a guest would. */
  write(name: string, extent: WrittenExtent): void {
    const volume = this.#volume(name);
    volume.written = [...volume.written, extent].toSorted((a, b) => a.offset - b.offset);
  }

  #volume(name: string): FakeVolume {
    const volume = this.#volumes.get(name);
    if (volume) return volume;
    throw notFound(`volume "${name}"`);
  }

  #find({ type, name }: VolumeSource): {
    readonly state: { readonly sizeBytes: number };
    readonly written: readonly WrittenExtent[];
  } {
    const found = type === "volume" ? this.#volumes.get(name) : this.#snapshots.get(name);
    if (found) return found;
    throw notFound(`${type} "${name}"`);
  }
}

function contentOf(sizeBytes: number, written: readonly WrittenExtent[]): SparseStream {
  return {
    sizeBytes,
    async *[Symbol.asyncIterator]() {
      let position = 0;
      for (const { offset, bytes } of written) {
        if (offset > position) yield { type: "hole", length: offset - position };
        yield { type: "data", bytes };
        position = offset + bytes.length;
      }
      if (sizeBytes > position) yield { type: "hole", length: sizeBytes - position };
    },
    [Symbol.asyncDispose]: async () => {},
  };
}

function notFound(what: string): PolyvisorError {
  return new PolyvisorError("POLYVISOR_NOT_FOUND", `${what} does not exist`);
}
