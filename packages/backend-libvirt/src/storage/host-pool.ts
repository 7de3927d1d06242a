import { PolyvisorError, type SparseExtent } from "@polyvisor/core";
import { KeyedMutex } from "../host/keyed-mutex.ts";
import type { ConnectionPool } from "../rpc/connection-pool.ts";
import {
  isAlreadyExistsError,
  isInvalidStateError,
  isLibvirtError,
  isNotFoundError,
} from "../rpc/libvirt-error.ts";
import { procedures } from "../rpc/procedures.ts";
import type { StoragePoolHandle, StorageVolHandle } from "../rpc/struct-layouts.ts";
import { downloadVolume, uploadVolume } from "../rpc/volume-stream.ts";
import type { PoolSettings } from "./storage-class.ts";
import {
  describeVolume,
  poolPath,
  type VolumeDescription,
  type VolumePlan,
  volumeXml,
} from "./volume-xml.ts";

/** A volume of a pool as libvirt knows it. */
export interface PoolVolume extends VolumeDescription {
  readonly handle: StorageVolHandle;
}

/** The name of the volume that hides another: what is there is not complete, or was deleted. */
export function hidingName(name: string): string {
  return `${name}.hidden`;
}

/** Numbers of libvirt: `VIR_ERR_SYSTEM_ERROR`, and the error number of Linux for a file that is not there. */
const SYSTEM_ERROR = 38;
const ENOENT = 2;

/**
 * The pool of a host in which volumes are kept: one that is there, or one that is made with the first volume and removed
 * with the last.
 */
export class HostPool {
  readonly settings: PoolSettings;
  readonly #connections: ConnectionPool;
  readonly #mutex = new KeyedMutex();
  /** Volumes that are being made: the pool must not go under them. */
  #making = 0;

  constructor(connections: ConnectionPool, settings: PoolSettings) {
    this.#connections = connections;
    this.settings = settings;
  }

  /** Bytes that are free; 0 when the pool is not there yet and its size therefore not known. */
  async availableBytes(signal: AbortSignal): Promise<number> {
    const pool = await this.#find(signal);
    if (pool === undefined) return 0;
    const { available } = await this.#connections.call(
      procedures.storagePoolGetInfo,
      { pool },
      { signal },
    );
    return Number(available);
  }

  /** The volume; `undefined` when there is none of that name, or when it is hidden. */
  async volume(name: string, signal: AbortSignal): Promise<PoolVolume | undefined> {
    const pool = await this.#find(signal);
    if (pool === undefined) return undefined;
    const volume = await this.#volume(pool, name, signal);
    if (volume && (await this.#volume(pool, hidingName(name), signal))) return undefined;
    return volume;
  }

  /** The names of all volumes, hidden ones and what hides them included. */
  async names(signal: AbortSignal): Promise<readonly string[]> {
    const pool = await this.#find(signal);
    if (pool === undefined) return [];
    const volumes = await this.#list(pool, signal);
    return volumes.map(({ name }) => name);
  }

  /** Every volume, hidden ones included. */
  async volumes(signal: AbortSignal): Promise<readonly PoolVolume[]> {
    const pool = await this.#find(signal);
    if (pool === undefined) return [];
    const handles = await this.#list(pool, signal);
    const found = await Promise.all(handles.map((handle) => this.#describe(handle, signal)));
    return found.filter((volume) => volume !== undefined);
  }

  /** Makes a volume of zeros, or gives back the one of that name. */
  create(name: string, sizeBytes: number, signal: AbortSignal): Promise<PoolVolume> {
    return this.make({ name, sizeBytes, format: "raw" }, signal);
  }

  /** Makes a volume that is empty or shows another, or gives back the one of that name. */
  make(plan: VolumePlan, signal: AbortSignal): Promise<PoolVolume> {
    return this.#during(signal, async (pool) => {
      try {
        const { volume } = await this.#connections.call(
          procedures.storageVolCreateXml,
          { pool, xml: volumeXml(plan), flags: 0 },
          { signal },
        );
        return await this.#require(volume, signal);
      } catch (error) {
        if (!isAlreadyExistsError(error)) throw error;
        const present = await this.#volume(pool, plan.name, signal);
        if (present) return present;
        throw error;
      }
    });
  }

  /**
   * Makes a volume with the content of another one of the same host, which nobody writes meanwhile. It is hidden until
   * it is complete; what an earlier attempt has left is replaced.
   */
  copy(
    plan: VolumePlan,
    { handle: source }: PoolVolume,
    signal: AbortSignal,
    wrapUp?: (copied: PoolVolume) => Promise<void>,
  ): Promise<PoolVolume> {
    return this.#during(signal, async (pool) => {
      await this.hide(plan.name, signal);
      await this.#drop(pool, plan.name, signal);
      await using connection = await this.#connections.dedicated({ signal });
      const { volume } = await connection.call(
        procedures.storageVolCreateXmlFrom,
        { pool, xml: volumeXml(plan), source, flags: 0 },
        { signal, deadlineMs: Infinity },
      );
      const copied = await this.#require(volume, signal);
      if (copied.sizeBytes < plan.sizeBytes) await this.resize(copied, plan.sizeBytes, signal);
      await wrapUp?.(copied);
      await this.show(plan.name, signal);
      return await this.#require(volume, signal);
    });
  }

  /** Hides a volume that may not be there yet: {@link volume} does not find it until {@link show}. */
  async hide(name: string, signal: AbortSignal): Promise<void> {
    await this.make({ name: hidingName(name), sizeBytes: 512, format: "raw" }, signal);
  }

  /** Undoes {@link hide}. */
  async show(name: string, signal: AbortSignal): Promise<void> {
    const pool = await this.#find(signal);
    if (pool) await this.#drop(pool, hidingName(name), signal);
  }

  /** Makes a volume larger; one that a guest uses as qcow2 cannot be. */
  async resize(
    { handle: volume }: PoolVolume,
    capacity: number,
    signal: AbortSignal,
  ): Promise<void> {
    await this.#connections.call(
      procedures.storageVolResize,
      { volume, capacity, flags: 0 },
      { signal, deadlineMs: Infinity },
    );
  }

  /** Deletes a volume and what hides it; does nothing when there is none. */
  delete(name: string, signal: AbortSignal): Promise<void> {
    return this.#mutex.run("pool", async () => {
      const pool = await this.#find(signal);
      if (pool === undefined) return;
      await this.#drop(pool, name, signal);
      await this.#drop(pool, hidingName(name), signal);
      await this.#removeIfEmpty(pool, signal);
    });
  }

  /** Removes the pool when it was made by us and nothing is in it. */
  release(signal: AbortSignal): Promise<void> {
    return this.#mutex.run("pool", async () => {
      const pool = await this.#find(signal);
      if (pool) await this.#removeIfEmpty(pool, signal);
    });
  }

  /** Path of a volume on the host. */
  async path({ handle: volume }: PoolVolume, signal: AbortSignal): Promise<string> {
    const { name } = await this.#connections.call(
      procedures.storageVolGetPath,
      { volume },
      { signal },
    );
    return name;
  }

  /** Makes the pool if need be, so that what others have put there can be found. */
  async prepare(signal: AbortSignal): Promise<void> {
    await this.#mutex.run("pool", () => this.#ensure(signal));
  }

  /** The folder of the pool, which is made if need be. */
  async folder(signal: AbortSignal): Promise<string> {
    const pool = await this.#ensure(signal);
    const { xml } = await this.#connections.call(
      procedures.storagePoolGetXmlDesc,
      { pool, flags: 0 },
      { signal },
    );
    const path = poolPath(xml);
    if (path !== undefined) return path;
    throw new PolyvisorError(
      "POLYVISOR_REFUSED",
      `the storage pool "${this.settings.name}" has no folder: use a pool of files`,
    );
  }

  /** Lets libvirt look for volumes that others have made or deleted. */
  async refresh(signal: AbortSignal): Promise<void> {
    const pool = await this.#find(signal);
    if (pool) await this.#refresh(pool, signal);
  }

  /** Writes extents from the start of a volume; holes are not sent. */
  async write(
    { handle: volume }: PoolVolume,
    extents: AsyncIterable<SparseExtent>,
    signal: AbortSignal,
  ): Promise<void> {
    await using connection = await this.#connections.dedicated({ signal });
    await uploadVolume(connection, { volume }, extents, { signal });
  }

  /** The content of a volume's file, holes told apart from data. */
  async *read(
    { handle: volume }: PoolVolume,
    signal: AbortSignal,
  ): AsyncGenerator<SparseExtent, void> {
    await using connection = await this.#connections.dedicated({ signal });
    for await (const item of downloadVolume(connection, { volume }, { signal })) {
      yield item.type === "data" ? item : { type: "hole", length: Number(item.length) };
    }
  }

  /** Does something with the pool there, and lets it not go meanwhile. */
  async #during<T>(signal: AbortSignal, work: (pool: StoragePoolHandle) => Promise<T>): Promise<T> {
    this.#making += 1;
    try {
      return await work(await this.#mutex.run("pool", () => this.#ensure(signal)));
    } finally {
      this.#making -= 1;
    }
  }

  /** The pool, running; `undefined` when there is none. */
  async #find(signal: AbortSignal): Promise<StoragePoolHandle | undefined> {
    try {
      const { pool } = await this.#connections.call(
        procedures.storagePoolLookupByName,
        { name: this.settings.name },
        { signal },
      );
      await this.#activate(pool, signal);
      return pool;
    } catch (error) {
      if (isNotFoundError(error)) return undefined;
      throw error;
    }
  }

  async #activate(pool: StoragePoolHandle, signal: AbortSignal): Promise<void> {
    const { active } = await this.#connections.call(
      procedures.storagePoolIsActive,
      { pool },
      { signal },
    );
    if (active) return;
    const flags = 0;
    const { xml, ownsFolder } = this.settings;
    if (ownsFolder) {
      await this.#connections.call(procedures.storagePoolBuild, { pool, flags }, { signal });
    }
    try {
      await this.#connections.call(procedures.storagePoolCreate, { pool, flags }, { signal });
    } catch (error) {
      // Another manager was faster.
      if (!isInvalidStateError(error)) throw error;
    }
    if (xml === undefined) return;
    await this.#connections.call(
      procedures.storagePoolSetAutostart,
      { pool, autostart: true },
      { signal },
    );
  }

  async #ensure(signal: AbortSignal): Promise<StoragePoolHandle> {
    const present = await this.#find(signal);
    if (present) return present;
    const { name, xml } = this.settings;
    if (xml === undefined) {
      throw new PolyvisorError(
        "POLYVISOR_REFUSED",
        `there is no storage pool "${name}": define it, or give the class another pool`,
      );
    }
    const { pool } = await this.#connections.call(
      procedures.storagePoolDefineXml,
      { xml, flags: 0 },
      { signal },
    );
    await this.#activate(pool, signal);
    return pool;
  }

  /** A volume; in a shared pool also one that another host has just made. */
  async #volume(
    pool: StoragePoolHandle,
    name: string,
    signal: AbortSignal,
  ): Promise<PoolVolume | undefined> {
    const found = await this.#lookUp(pool, name, signal);
    if (found || !this.settings.shared) return found;
    await this.#refresh(pool, signal);
    return this.#lookUp(pool, name, signal);
  }

  async #lookUp(
    pool: StoragePoolHandle,
    name: string,
    signal: AbortSignal,
  ): Promise<PoolVolume | undefined> {
    try {
      const { volume } = await this.#connections.call(
        procedures.storageVolLookupByName,
        { pool, name },
        { signal },
      );
      return await this.#describe(volume, signal);
    } catch (error) {
      if (isNotFoundError(error)) return undefined;
      throw error;
    }
  }

  /** What libvirt finds in the volume now; `undefined` when it is gone. */
  async #describe(volume: StorageVolHandle, signal: AbortSignal): Promise<PoolVolume | undefined> {
    try {
      const { xml } = await this.#connections.call(
        procedures.storageVolGetXmlDesc,
        { volume, flags: 0 },
        { signal },
      );
      return { handle: volume, ...describeVolume(xml) };
    } catch (error) {
      if (isNotFoundError(error) || isMissingFile(error)) return undefined;
      throw error;
    }
  }

  async #require(volume: StorageVolHandle, signal: AbortSignal): Promise<PoolVolume> {
    const described = await this.#describe(volume, signal);
    if (described) return described;
    throw new PolyvisorError(
      "POLYVISOR_REFUSED",
      `volume "${volume.name}" has vanished while it was being made`,
    );
  }

  async #list(pool: StoragePoolHandle, signal: AbortSignal): Promise<readonly StorageVolHandle[]> {
    if (this.settings.shared) await this.#refresh(pool, signal);
    const { volumes } = await this.#connections.call(
      procedures.storagePoolListAllVolumes,
      { pool, needResults: true, flags: 0 },
      { signal },
    );
    return volumes;
  }

  async #refresh(pool: StoragePoolHandle, signal: AbortSignal): Promise<void> {
    await this.#connections.call(
      procedures.storagePoolRefresh,
      { pool, flags: 0 },
      { signal, deadlineMs: Infinity },
    );
  }

  async #drop(pool: StoragePoolHandle, name: string, signal: AbortSignal): Promise<void> {
    const present = await this.#volume(pool, name, signal);
    if (present === undefined) return;
    const { handle: volume } = present;
    await ignoreMissing(
      this.#connections.call(procedures.storageVolDelete, { volume, flags: 0 }, { signal }),
    );
  }

  async #removeIfEmpty(pool: StoragePoolHandle, signal: AbortSignal): Promise<void> {
    if (this.settings.xml === undefined || this.#making > 0) return;
    if (this.settings.shared) await this.#refresh(pool, signal);
    const { count } = await this.#connections.call(
      procedures.storagePoolListAllVolumes,
      { pool, needResults: false, flags: 0 },
      { signal },
    );
    if (count > 0) return;
    await ignoreMissing(
      this.#connections.call(procedures.storagePoolDestroy, { pool }, { signal }),
    );
    if (this.settings.ownsFolder) await this.#removeFolder(pool, signal);
    await ignoreMissing(
      this.#connections.call(procedures.storagePoolUndefine, { pool }, { signal }),
    );
  }

  async #removeFolder(pool: StoragePoolHandle, signal: AbortSignal): Promise<void> {
    try {
      await this.#connections.call(procedures.storagePoolDelete, { pool, flags: 0 }, { signal });
    } catch (error) {
      // Files that are no volumes keep the directory from going; they are not ours to delete.
      if (!isLibvirtError(error)) throw error;
    }
  }
}

function isMissingFile(error: unknown): boolean {
  return isLibvirtError(error) && error.number === SYSTEM_ERROR && error.fields.int1 === ENOENT;
}

async function ignoreMissing(call: Promise<unknown>): Promise<void> {
  try {
    await call;
  } catch (error) {
    if (!isNotFoundError(error)) throw error;
  }
}
