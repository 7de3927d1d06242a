import type { BlockSource } from "../backend/block-source.ts";
import type { SparseStream } from "../backend/sparse-stream.ts";
import type {
  Storage,
  StorageCapabilities,
  StorageClassInfo,
  VolumeContent,
  VolumeSpec,
  VolumeState,
} from "../backend/storage.ts";
import { PolyvisorError } from "../util/errors.ts";

/** A piece of a fake volume that was written. */
export interface WrittenExtent {
  readonly offset: number;
  readonly bytes: Uint8Array;
}

/**
 * A storage in memory, for tests. It has one class, `fake`, and reaches every host.
 *
 * What it does not model: capacity, and time.
 */
export class FakeStorage implements Storage {
  readonly name: string;
  readonly capabilities: StorageCapabilities = {
    blockSources: ["file"],
    expansion: false,
    snapshots: false,
    cloning: false,
  };
  readonly #volumes = new Map<string, { readonly state: VolumeState; written: WrittenExtent[] }>();
  /** Volume and host of what is attached. */
  readonly attachments: Set<string> = new Set();

  constructor(name = "fake-storage") {
    this.name = name;
  }

  async open(): Promise<void> {}

  async classes(): Promise<readonly StorageClassInfo[]> {
    return [
      {
        name: "fake",
        isDefault: true,
        uses: [{ accessMode: "ReadWriteMany", volumeMode: "Block" }],
        bindingMode: "Immediate",
        expandable: false,
      },
    ];
  }

  async createVolume(spec: VolumeSpec): Promise<VolumeState> {
    if (spec.storageClass !== "fake") throw notFound(`storage class "${spec.storageClass}"`);
    const known = this.#volumes.get(spec.name)?.state;
    if (known && (known.sizeBytes !== spec.sizeBytes || known.storageClass !== spec.storageClass)) {
      throw new PolyvisorError(
        "POLYVISOR_ALREADY_EXISTS",
        `volume "${spec.name}" has another size or class`,
      );
    }
    if (known) return known;
    this.#volumes.set(spec.name, { state: spec, written: [] });
    return spec;
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
      const volume = this.#volumes.get(name);
      if (!volume) throw notFound(`volume "${name}"`);
      if (stream.sizeBytes > volume.state.sizeBytes) {
        const message = `the content has ${stream.sizeBytes} bytes, and volume "${name}" has room for ${volume.state.sizeBytes}`;
        throw new PolyvisorError("POLYVISOR_INVALID", message);
      }
      volume.written = [];
      let offset = 0;
      for await (const extent of stream) {
        signal.throwIfAborted();
        if (extent.type === "data") volume.written.push({ offset, bytes: extent.bytes });
        offset += extent.type === "data" ? extent.bytes.length : extent.length;
        onProgress?.(offset);
      }
    },
    read: async ({ type, name }) => {
      const volume = type === "volume" ? this.#volumes.get(name) : undefined;
      if (!volume) throw notFound(`${type} "${name}"`);
      return contentOf(volume.state.sizeBytes, volume.written);
    },
  };

  async [Symbol.asyncDispose](): Promise<void> {}

  /** Names of all volumes. */
  volumeNames(): string[] {
    return [...this.#volumes.keys()].sort();
  }

  /** What was written to a volume, in order. */
  written(name: string): readonly WrittenExtent[] {
    return this.#volumes.get(name)?.written ?? [];
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
