import {
  PolyvisorError,
  type SparseExtent,
  type SparseStream,
  type VolumeContent,
  type VolumeSource,
} from "@polyvisor/core";
import { translated } from "../host/translate-error.ts";
import type { PoolVolume } from "./host-pool.ts";
import { activeVolume } from "./active-volume.ts";
import { unfoldedName } from "./volume-names.ts";
import type { FoundVolume, VolumePlaces } from "./volume-places.ts";
import type { PoolSnapshots } from "./volume-snapshots.ts";

/** Moves whole contents in and out of the volumes of pools, by the hosts that have them. */
export class PoolContent implements VolumeContent {
  readonly #places: VolumePlaces;
  readonly #snapshots: PoolSnapshots;

  constructor(places: VolumePlaces, snapshots: PoolSnapshots) {
    this.#places = places;
    this.#snapshots = snapshots;
  }

  async fill(
    name: string,
    stream: SparseStream,
    { signal, onProgress }: Parameters<VolumeContent["fill"]>[2],
  ): Promise<void> {
    const { host, pool, volume } = await this.#places.require(name, signal);
    if (stream.sizeBytes > volume.sizeBytes) {
      const message = `the content has ${stream.sizeBytes} bytes, and volume "${name}" has room for ${volume.sizeBytes}`;
      throw new PolyvisorError("POLYVISOR_INVALID", message);
    }
    if (volume.format !== "raw") {
      const message = `volume "${name}" was made from another one: make a blank one to fill it`;
      throw new PolyvisorError("POLYVISOR_REFUSED", message);
    }
    const extents = filledUp(stream, volume.sizeBytes, onProgress);
    await translated(host.name, () => pool.write(volume, extents, signal));
  }

  async read(
    source: VolumeSource,
    { signal }: { readonly signal: AbortSignal },
  ): Promise<SparseStream> {
    const found = await this.#find(source, signal);
    const { host, pool } = found;
    const active = await translated(host.name, () => activeVolume(pool, found.volume, signal));
    if (active.format === "raw") return contentOf(found, signal, async () => {});
    // A qcow2 file is not the content that it shows.
    const name = unfoldedName(found.volume.handle.name);
    const plan = { name, sizeBytes: active.sizeBytes, format: "raw" } as const;
    const volume = await translated(host.name, () => pool.copy(plan, active, signal));
    const unfolded = { ...found, volume };
    return contentOf(unfolded, signal, () =>
      translated(host.name, () => pool.delete(name, new AbortController().signal)),
    );
  }

  async #find({ type, name }: VolumeSource, signal: AbortSignal): Promise<FoundVolume> {
    if (type === "volume") return this.#places.require(name, signal);
    const found = await this.#snapshots.find(name, signal);
    if (found) return found;
    throw new PolyvisorError("POLYVISOR_NOT_FOUND", `snapshot "${name}" does not exist`);
  }
}

function contentOf(
  { host, pool, volume }: FoundVolume,
  signal: AbortSignal,
  close: () => Promise<void>,
): SparseStream {
  return {
    sizeBytes: volume.sizeBytes,
    async *[Symbol.asyncIterator]() {
      const extents = pool.read(volume, signal);
      let done = 0;
      try {
        for (;;) {
          const next = await translated(host.name, () => extents.next());
          if (next.done === true) break;
          done += next.value.type === "data" ? next.value.bytes.length : next.value.length;
          yield next.value;
        }
        // Whoever keeps the content must not take a part of it for the whole.
        if (done !== volume.sizeBytes) throw incomplete(host.name, volume, done);
      } finally {
        await extents.return();
      }
    },
    [Symbol.asyncDispose]: close,
  };
}

function incomplete(host: string, { handle, sizeBytes }: PoolVolume, done: number): PolyvisorError {
  return new PolyvisorError(
    "POLYVISOR_UNAVAILABLE",
    `host "${host}": reading volume "${handle.name}" gave ${done} of ${sizeBytes} bytes: read it again`,
  );
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
