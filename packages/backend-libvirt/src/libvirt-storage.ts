import {
  type BlockSource,
  PolyvisorError,
  type Storage,
  type StorageCapabilities,
  type StorageClassInfo,
  type VolumeContent,
  type VolumeExpansion,
  type VolumeSnapshots,
  type VolumeSpec,
  type VolumeState,
} from "@polyvisor/core";
import type { HostSet } from "./host/host-set.ts";
import { KeyedMutex } from "./host/keyed-mutex.ts";
import { translated } from "./host/translate-error.ts";
import { activeVolume } from "./storage/active-volume.ts";
import { PoolContent } from "./storage/pool-content.ts";
import { runningUser } from "./storage/running-disk.ts";
import {
  type LibvirtStorageClass,
  poolSettings,
  storageClassInfo,
} from "./storage/storage-class.ts";
import { createVolume } from "./storage/volume-creation.ts";
import { accessModeOf, allowMany, forgetHolders, hold, letGo } from "./storage/volume-holders.ts";
import { moveVolume, type VolumeMove } from "./storage/volume-move.ts";
import { overlayName } from "./storage/volume-names.ts";
import { type FoundVolume, VolumePlaces } from "./storage/volume-places.ts";
import { PoolSnapshots, removeUnused } from "./storage/volume-snapshots.ts";

/** Keeps volumes in pools of the hosts: those of a shared class everywhere, others on one host each. */
export class LibvirtStorage implements Storage {
  readonly name: string;
  readonly capabilities: StorageCapabilities;
  readonly content: VolumeContent;
  readonly expansion: VolumeExpansion = {
    expand: (name, sizeBytes, signal) => this.#expand(name, sizeBytes, signal),
  };
  readonly snapshots: VolumeSnapshots;
  readonly #hosts: HostSet;
  readonly #classes: ReadonlyMap<string, StorageClassInfo>;
  readonly #places: VolumePlaces;
  readonly #poolSnapshots: PoolSnapshots;
  /** Lets one at a time make a volume, by its name. */
  readonly #mutex = new KeyedMutex();

  constructor(name: string, classes: readonly LibvirtStorageClass[], hosts: HostSet) {
    this.name = name;
    this.#hosts = hosts;
    const settings = classes.map((each) => [each, poolSettings(each)] as const);
    this.#classes = new Map(
      settings.map(([each, pool]) => [each.name, storageClassInfo(each, pool)]),
    );
    this.capabilities = {
      blockSources: [...new Set(settings.map(([, { content }]) => content))],
      expansion: true,
      snapshots: true,
      cloning: true,
    };
    this.#places = new VolumePlaces(hosts, [...this.#classes.keys()]);
    this.#poolSnapshots = new PoolSnapshots(this.#places, hosts);
    this.snapshots = this.#poolSnapshots;
    this.content = new PoolContent(this.#places, this.#poolSnapshots);
  }

  open(signal: AbortSignal): Promise<void> {
    return this.#hosts.open(signal);
  }

  async classes(): Promise<readonly StorageClassInfo[]> {
    return [...this.#classes.values()];
  }

  createVolume(spec: VolumeSpec, signal: AbortSignal): Promise<VolumeState> {
    return this.#mutex.run(spec.name, async () => {
      const info = this.#classes.get(spec.storageClass);
      if (info === undefined) {
        const names = [...this.#classes.keys()].join(", ");
        const message = `storage "${this.name}" has no class "${spec.storageClass}", only ${names}`;
        throw new PolyvisorError("POLYVISOR_NOT_FOUND", message);
      }
      const { accessMode, volumeMode } = spec.use;
      if (
        !info.uses.some((use) => use.accessMode === accessMode && use.volumeMode === volumeMode)
      ) {
        const message = `volumes of class "${info.name}" cannot be used as ${accessMode} ${volumeMode}`;
        throw new PolyvisorError("POLYVISOR_REFUSED", message);
      }
      const found =
        (await this.#places.find(spec.name, signal)) ??
        (await createVolume(this.#places, this.#poolSnapshots, spec, signal));
      const { volume, className } = found;
      if (className !== spec.storageClass || volume.sizeBytes !== spec.sizeBytes) {
        const message = `volume "${spec.name}" has ${volume.sizeBytes} bytes of class "${className}" instead of ${spec.sizeBytes} of "${spec.storageClass}": delete it first`;
        throw new PolyvisorError("POLYVISOR_ALREADY_EXISTS", message);
      }
      if (accessMode === "ReadWriteMany") {
        await translated(found.host.name, () => allowMany(found.pool, spec.name, signal));
      }
      return this.#state(found, signal);
    });
  }

  async getVolume(name: string, signal: AbortSignal): Promise<VolumeState | undefined> {
    const found = await this.#places.find(name, signal);
    return found && this.#state(found, signal);
  }

  /** Every host is asked, also after the volume is gone: the pool that it was the last in may still be there. */
  async deleteVolume(name: string, signal: AbortSignal): Promise<void> {
    await Promise.all(
      this.#places.all().map(({ host, pool, className }) =>
        translated(host.name, async () => {
          const volume = await pool.volume(name, signal);
          await forgetHolders(pool, name, signal);
          await pool.delete(overlayName(name), signal);
          await pool.delete(name, signal);
          await this.#removeBacking({ host, pool, className }, volume?.backingPath, signal);
        }),
      ),
    );
  }

  async attach(
    name: string,
    hostName: string | undefined,
    signal: AbortSignal,
  ): Promise<BlockSource> {
    const found = await this.#places.require(name, signal);
    const place = this.#places
      .of(found.className)
      .find(
        ({ host, pool }) => host.name === hostName && (pool.settings.shared || host === found.host),
      );
    if (place === undefined) {
      const message = `volume "${name}" is on host "${found.host.name}" and cannot be used on host "${hostName}"`;
      throw new PolyvisorError("POLYVISOR_REFUSED", message);
    }
    return translated(place.host.name, async () => {
      // Of a shared class, this host may not have the pool yet.
      await place.pool.prepare(signal);
      const volume = await place.pool.volume(name, signal);
      if (volume === undefined) {
        const message = `host "${hostName}" does not see volume "${name}" in pool "${place.pool.settings.name}", which is declared as shared`;
        throw new PolyvisorError("POLYVISOR_REFUSED", message);
      }
      if (place.pool.settings.shared) await hold(place.pool, name, place.host.name, signal);
      if (place.pool.settings.content === "block") return { type: "block", path: volume.path };
      const { path, format } = await activeVolume(place.pool, volume, signal);
      return { type: "file", path, format };
    });
  }

  async detach(name: string, hostName: string | undefined, signal: AbortSignal): Promise<void> {
    const found = await this.#places.find(name, signal);
    if (found === undefined || hostName === undefined || !found.pool.settings.shared) return;
    await translated(found.host.name, () => letGo(found.pool, name, hostName, signal));
  }

  /**
   * Moves a volume to another class while a guest runs on it. Does nothing when it is of that class.
   *
   * @throws `POLYVISOR_NOT_FOUND` without the volume or the class, `POLYVISOR_REFUSED` when the guest does not run there
   *   with it, or the class cannot have it on that host; the volume is then where it was.
   */
  move(name: string, request: VolumeMove, signal: AbortSignal): Promise<VolumeState> {
    return this.#mutex.run(name, async () => {
      const { storageClass, attachedTo } = request;
      if (!this.#classes.has(storageClass)) {
        const message = `storage "${this.name}" has no class "${storageClass}"`;
        throw new PolyvisorError("POLYVISOR_NOT_FOUND", message);
      }
      const from = await this.#places.require(name, signal);
      if (from.className === storageClass) return this.#state(from, signal);
      const to = this.#places.of(storageClass).find(({ host }) => host.name === attachedTo.host);
      const source = this.#places.of(from.className).find(({ host }) => host === to?.host);
      const isThere = source && (from.pool.settings.shared || source.host === from.host);
      if (!to || !isThere || (await this.#isForMany(from, signal))) {
        const message = `volume "${name}" cannot be moved to class "${storageClass}" on host "${attachedTo.host}"`;
        throw new PolyvisorError("POLYVISOR_REFUSED", message);
      }
      const volume = await translated(to.host.name, () =>
        moveVolume({ ...source, volume: from.volume }, to, request, to.host, signal),
      );
      if (to.pool.settings.shared) await hold(to.pool, name, to.host.name, signal);
      await forgetHolders(from.pool, name, signal);
      return this.#state({ ...to, volume }, signal);
    });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#hosts.release();
  }

  async #expand(name: string, sizeBytes: number, signal: AbortSignal): Promise<VolumeState> {
    const found = await this.#places.require(name, signal);
    const { host, pool, volume } = found;
    if (pool.settings.content === "block") {
      const message = `volumes of class "${found.className}", such as "${name}", cannot grow`;
      throw new PolyvisorError("POLYVISOR_REFUSED", message);
    }
    await translated(host.name, async () => {
      const active = await activeVolume(pool, volume, signal);
      for (const layer of new Set([volume, active])) {
        if (layer.sizeBytes >= sizeBytes) continue;
        // QEMU alone may change the qcow2 file that it has open.
        const user =
          layer.format === "qcow2" ? await this.#user(found, layer.path, signal) : undefined;
        await (user?.resize(sizeBytes, signal) ?? pool.resize(layer, sizeBytes, signal));
      }
    });
    return this.#state(await this.#places.require(name, signal), signal);
  }

  async #user(
    { className, host, pool }: FoundVolume,
    path: string,
    signal: AbortSignal,
  ): ReturnType<typeof runningUser> {
    const hosts = pool.settings.shared
      ? this.#places.of(className).map((each) => each.host)
      : [host];
    for (const each of hosts) {
      const user = await runningUser(each, [path], signal);
      if (user) return user;
    }
    return undefined;
  }

  async #isForMany({ pool, volume }: FoundVolume, signal: AbortSignal): Promise<boolean> {
    return (await accessModeOf(pool, volume.handle.name, signal)) === "ReadWriteMany";
  }

  async #removeBacking(
    place: Omit<FoundVolume, "volume">,
    backingPath: string | undefined,
    signal: AbortSignal,
  ): Promise<void> {
    if (backingPath === undefined) return;
    const all = await place.pool.volumes(signal);
    const backing = all.find(({ path }) => path === backingPath);
    // A snapshot that is still wanted is visible.
    if (!backing || (await place.pool.volume(backing.handle.name, signal))) return;
    await removeUnused({ ...place, volume: backing }, signal);
  }

  async #state(found: FoundVolume, signal: AbortSignal): Promise<VolumeState> {
    const { className, host, pool, volume } = found;
    const [sizeBytes, accessMode] = await translated(host.name, async () => {
      const active = await activeVolume(pool, volume, signal);
      return [active.sizeBytes, await accessModeOf(pool, volume.handle.name, signal)] as const;
    });
    const volumeMode = pool.settings.content === "file" ? "Filesystem" : "Block";
    return {
      name: volume.handle.name,
      storageClass: className,
      sizeBytes,
      use: { accessMode, volumeMode },
      ...(!pool.settings.shared && { hosts: [host.name] }),
    };
  }
}
