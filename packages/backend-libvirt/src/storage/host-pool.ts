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
import { directoryPoolXml, rawVolumeXml } from "./volume-xml.ts";

/** A volume of a pool as libvirt knows it. */
export interface PoolVolume {
  readonly handle: StorageVolHandle;
  readonly sizeBytes: number;
}

/** The pool that is made where none is named. */
const OWN_POOL = { name: "polyvisor", path: "/var/lib/libvirt/images/polyvisor" };

/**
 * The pool of a host in which volumes are kept: an existing one that is named, or one of our own, which is made with the
 * first volume and removed with the last.
 */
export class HostPool {
  readonly #name: string;
  readonly #isOwn: boolean;
  readonly #connections: ConnectionPool;
  readonly #mutex = new KeyedMutex();

  constructor(connections: ConnectionPool, existingPool: string | undefined) {
    this.#connections = connections;
    this.#name = existingPool ?? OWN_POOL.name;
    this.#isOwn = existingPool === undefined;
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

  /** The volume; `undefined` when there is none of that name. */
  async volume(name: string, signal: AbortSignal): Promise<PoolVolume | undefined> {
    const pool = await this.#find(signal);
    return pool && this.#volume(pool, name, signal);
  }

  /** Makes a volume of zeros, or gives back the one of that name. */
  create(name: string, sizeBytes: number, signal: AbortSignal): Promise<PoolVolume> {
    return this.#mutex.run("pool", async () => {
      const pool = await this.#ensure(signal);
      try {
        const { volume: handle } = await this.#connections.call(
          procedures.storageVolCreateXml,
          { pool, xml: rawVolumeXml(name, sizeBytes), flags: 0 },
          { signal },
        );
        return { handle, sizeBytes };
      } catch (error) {
        if (!isAlreadyExistsError(error)) throw error;
        const present = await this.#volume(pool, name, signal);
        if (present) return present;
        throw error;
      }
    });
  }

  /** Deletes a volume; does nothing when there is none. */
  delete(name: string, signal: AbortSignal): Promise<void> {
    return this.#mutex.run("pool", async () => {
      const pool = await this.#find(signal);
      if (pool === undefined) return;
      const present = await this.#volume(pool, name, signal);
      if (present) {
        const { handle: volume } = present;
        await this.#ignoreMissing(
          this.#connections.call(procedures.storageVolDelete, { volume, flags: 0 }, { signal }),
        );
      }
      if (this.#isOwn) await this.#removeIfEmpty(pool, signal);
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

  /** Writes extents from the start of a volume; holes are not sent. */
  async write(
    { handle: volume }: PoolVolume,
    extents: AsyncIterable<SparseExtent>,
    signal: AbortSignal,
  ): Promise<void> {
    await using connection = await this.#dedicated(signal);
    await uploadVolume(connection, { volume }, extents, { signal });
  }

  /** The content of a volume, holes told apart from data. */
  async *read(
    { handle: volume }: PoolVolume,
    signal: AbortSignal,
  ): AsyncGenerator<SparseExtent, void> {
    await using connection = await this.#dedicated(signal);
    for await (const item of downloadVolume(connection, { volume }, { signal })) {
      yield item.type === "data" ? item : { type: "hole", length: Number(item.length) };
    }
  }

  async #dedicated(signal: AbortSignal): ReturnType<ConnectionPool["dedicated"]> {
    return this.#connections.dedicated({ signal });
  }

  /** The pool, running; `undefined` when there is none. */
  async #find(signal: AbortSignal): Promise<StoragePoolHandle | undefined> {
    try {
      const { pool } = await this.#connections.call(
        procedures.storagePoolLookupByName,
        { name: this.#name },
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
    if (this.#isOwn)
      await this.#connections.call(procedures.storagePoolBuild, { pool, flags }, { signal });
    try {
      await this.#connections.call(procedures.storagePoolCreate, { pool, flags }, { signal });
    } catch (error) {
      // Another manager was faster.
      if (!isInvalidStateError(error)) throw error;
    }
    if (!this.#isOwn) return;
    await this.#connections.call(
      procedures.storagePoolSetAutostart,
      { pool, autostart: true },
      { signal },
    );
  }

  async #ensure(signal: AbortSignal): Promise<StoragePoolHandle> {
    const present = await this.#find(signal);
    if (present) return present;
    if (!this.#isOwn) {
      throw new PolyvisorError(
        "POLYVISOR_REFUSED",
        `there is no storage pool "${this.#name}": define it, or leave the option "pool" out`,
      );
    }
    const xml = directoryPoolXml(OWN_POOL.name, OWN_POOL.path);
    const { pool } = await this.#connections.call(
      procedures.storagePoolDefineXml,
      { xml, flags: 0 },
      { signal },
    );
    await this.#activate(pool, signal);
    return pool;
  }

  async #volume(
    pool: StoragePoolHandle,
    name: string,
    signal: AbortSignal,
  ): Promise<PoolVolume | undefined> {
    try {
      const { volume: handle } = await this.#connections.call(
        procedures.storageVolLookupByName,
        { pool, name },
        { signal },
      );
      const { capacity } = await this.#connections.call(
        procedures.storageVolGetInfo,
        { volume: handle },
        { signal },
      );
      return { handle, sizeBytes: Number(capacity) };
    } catch (error) {
      if (isNotFoundError(error)) return undefined;
      throw error;
    }
  }

  async #removeIfEmpty(pool: StoragePoolHandle, signal: AbortSignal): Promise<void> {
    const { count } = await this.#connections.call(
      procedures.storagePoolListAllVolumes,
      { pool, needResults: false, flags: 0 },
      { signal },
    );
    if (count > 0) return;
    await this.#ignoreMissing(
      this.#connections.call(procedures.storagePoolDestroy, { pool }, { signal }),
    );
    try {
      await this.#connections.call(procedures.storagePoolDelete, { pool, flags: 0 }, { signal });
    } catch (error) {
      // Files that are no volumes keep the directory from going; they are not ours to delete.
      if (!isLibvirtError(error)) throw error;
    }
    await this.#ignoreMissing(
      this.#connections.call(procedures.storagePoolUndefine, { pool }, { signal }),
    );
  }

  async #ignoreMissing(call: Promise<unknown>): Promise<void> {
    try {
      await call;
    } catch (error) {
      if (!isNotFoundError(error)) throw error;
    }
  }
}
