import {
  PolyvisorError,
  type VolumeSnapshots,
  type VolumeSnapshotSpec,
  type VolumeSnapshotState,
} from "@polyvisor/core";
import type { HostSet } from "../host/host-set.ts";
import { KeyedMutex } from "../host/keyed-mutex.ts";
import { translated } from "../host/translate-error.ts";
import { activeVolume } from "./active-volume.ts";
import type { PoolVolume } from "./host-pool.ts";
import { type RunningDisk, runningDisk } from "./running-disk.ts";
import { overlayName, parseSnapshotFileName, snapshotFileName } from "./volume-names.ts";
import type { FoundVolume, VolumePlace, VolumePlaces } from "./volume-places.ts";

/** A snapshot and the file that keeps it. */
export interface FoundSnapshot extends FoundVolume {
  readonly snapshot: string;
  /** The volume that it is of. */
  readonly of: string;
}

/**
 * Snapshots as whole copies beside their volumes. While the volume of a running guest is copied, the guest writes
 * elsewhere, and what it has written is put back afterwards.
 */
export class PoolSnapshots implements VolumeSnapshots {
  readonly #places: VolumePlaces;
  readonly #hosts: HostSet;
  readonly #mutex = new KeyedMutex();

  constructor(places: VolumePlaces, hosts: HostSet) {
    this.#places = places;
    this.#hosts = hosts;
  }

  create(spec: VolumeSnapshotSpec, signal: AbortSignal): Promise<VolumeSnapshotState> {
    return this.#mutex.run(spec.name, async () => {
      const present = await this.find(spec.name, signal);
      if (present) return this.#checked(present, spec);
      const found = await this.#places.require(spec.volume, signal);
      if (found.pool.settings.content === "block") {
        const message = `class "${found.className}" of volume "${spec.volume}" has no snapshots`;
        throw new PolyvisorError("POLYVISOR_UNSUPPORTED", message);
      }
      // The overlay of a volume is one, so its snapshots are taken one after the other.
      const volume = await this.#mutex.run(`volume ${spec.volume}`, () =>
        translated(found.host.name, () => this.#take(found, spec, signal)),
      );
      return stateOf({ ...found, volume, snapshot: spec.name, of: spec.volume });
    });
  }

  async get(name: string, signal: AbortSignal): Promise<VolumeSnapshotState | undefined> {
    const found = await this.find(name, signal);
    return found && stateOf(found);
  }

  delete(name: string, signal: AbortSignal): Promise<void> {
    return this.#mutex.run(name, async () => {
      const found = await this.find(name, signal);
      if (found === undefined) return;
      const { host, pool, volume } = found;
      await translated(host.name, async () => {
        // Hidden first: what is left of it, now or because volumes show it, is no snapshot any more.
        await pool.hide(volume.handle.name, signal);
        await removeUnused(found, signal);
      });
      for (const place of this.#places.of(found.className).filter((each) => each.host !== host)) {
        if (place.host.isReachable) {
          await translated(place.host.name, () => place.pool.release(signal));
        }
      }
    });
  }

  /** A snapshot; `undefined` when every place where it could be has answered and does not have it. */
  find(name: string, signal: AbortSignal): Promise<FoundSnapshot | undefined> {
    return this.#places.search(async (place) => {
      for (const fileName of await place.pool.names(signal)) {
        const file = parseSnapshotFileName(fileName);
        if (file?.snapshot !== name) continue;
        const volume = await place.pool.volume(fileName, signal);
        if (volume) return { ...place, volume, snapshot: name, of: file.volume };
      }
      return undefined;
    });
  }

  #checked(found: FoundSnapshot, spec: VolumeSnapshotSpec): VolumeSnapshotState {
    if (found.of === spec.volume) return stateOf(found);
    const message = `snapshot "${spec.name}" is of volume "${found.of}" and not of "${spec.volume}"`;
    throw new PolyvisorError("POLYVISOR_ALREADY_EXISTS", message);
  }

  async #take(
    { pool, volume }: FoundVolume,
    spec: VolumeSnapshotSpec,
    signal: AbortSignal,
  ): Promise<PoolVolume> {
    const fileName = snapshotFileName({ snapshot: spec.name, volume: spec.volume });
    const copy = (source: PoolVolume): Promise<PoolVolume> =>
      pool.copy({ name: fileName, sizeBytes: source.sizeBytes, format: "raw" }, source, signal);
    const overlay = `${await pool.folder(signal)}/${overlayName(spec.volume)}`;
    const disk = await this.#diskInUse(spec, [volume.path, overlay], signal);
    if (disk === undefined) return copy(await activeVolume(pool, volume, signal));
    // An earlier attempt was given up half-way.
    if (disk.path === overlay) await disk.putBack(signal);
    await pool.delete(overlayName(spec.volume), signal);
    await disk.divert(overlay, signal);
    try {
      return await copy(volume);
    } finally {
      // Also after an abort: the guest must not be left on the overlay.
      await disk.putBack(new AbortController().signal);
      await pool.refresh(new AbortController().signal);
    }
  }

  async #diskInUse(
    { attachedTo, volume }: VolumeSnapshotSpec,
    paths: readonly string[],
    signal: AbortSignal,
  ): Promise<RunningDisk | undefined> {
    if (attachedTo === undefined) return undefined;
    const host = this.#hosts.get(attachedTo.host);
    const { uid, incarnation } = attachedTo.guest;
    const domain = await host.domain(uid, signal);
    if (domain?.state?.incarnation !== incarnation) return undefined;
    const disk = await runningDisk(host, domain, paths, signal);
    if (disk || domain.state.power === "stopped") return disk;
    const message = `guest "${domain.description.name}" runs and does not have volume "${volume}" as its disk "${attachedTo.disk}"`;
    throw new PolyvisorError("POLYVISOR_REFUSED", message);
  }
}

/** Deletes what was left of a deleted snapshot, unless a volume still shows it. */
export async function removeUnused(
  { pool, volume }: VolumePlace & { readonly volume: PoolVolume },
  signal: AbortSignal,
): Promise<void> {
  const others = await pool.volumes(signal);
  if (others.some(({ backingPath }) => backingPath === volume.path)) return;
  await pool.delete(volume.handle.name, signal);
}

function stateOf({ snapshot, of, className, volume }: FoundSnapshot): VolumeSnapshotState {
  return { name: snapshot, volume: of, storageClass: className, sizeBytes: volume.sizeBytes };
}
