import { PolyvisorError } from "@polyvisor/core";
import type { HostSet } from "../host/host-set.ts";
import type { LibvirtHost } from "../host/libvirt-host.ts";
import { translated } from "../host/translate-error.ts";
import type { HostPool, PoolVolume } from "./host-pool.ts";

/** Where volumes of a class are kept on one host. */
export interface VolumePlace {
  readonly className: string;
  readonly host: LibvirtHost;
  readonly pool: HostPool;
}

/** A volume and where it was found. */
export interface FoundVolume extends VolumePlace {
  readonly volume: PoolVolume;
}

/** Finds what is kept in the pools of all hosts. */
export class VolumePlaces {
  readonly #hosts: HostSet;
  readonly #classNames: readonly string[];

  constructor(hosts: HostSet, classNames: readonly string[]) {
    this.#hosts = hosts;
    this.#classNames = classNames;
  }

  /** Every place of a class. In a shared class all of them show the same volumes. */
  of(className: string): readonly VolumePlace[] {
    return this.#hosts.all().flatMap((host) => {
      const pool = host.pools.get(className);
      return pool === undefined ? [] : [{ className, host, pool }];
    });
  }

  /** The places of all classes. */
  all(): readonly VolumePlace[] {
    return this.#classNames.flatMap((className) => this.of(className));
  }

  /**
   * The first thing that `look` finds in any place; `undefined` when every place where it could be has answered and does
   * not have it. Of a shared class one host has to answer.
   *
   * @throws the error of a place that did not answer and may have it.
   */
  async search<T>(look: (place: VolumePlace) => Promise<T | undefined>): Promise<T | undefined> {
    const searched = await Promise.allSettled(
      this.#classNames.map((className) => this.#searchClass(this.of(className), look)),
    );
    for (const result of searched) {
      if (result.status === "fulfilled" && result.value !== undefined) return result.value;
    }
    const failed = searched.find((result) => result.status === "rejected");
    if (failed) throw failed.reason;
    return undefined;
  }

  /** A volume. Errors as for {@link search}. */
  find(name: string, signal: AbortSignal): Promise<FoundVolume | undefined> {
    return this.search(async (place) => {
      const volume = await place.pool.volume(name, signal);
      return volume && { ...place, volume };
    });
  }

  /** @throws `POLYVISOR_NOT_FOUND` when there is no such volume; else as {@link find}. */
  async require(name: string, signal: AbortSignal): Promise<FoundVolume> {
    const found = await this.find(name, signal);
    if (found) return found;
    throw new PolyvisorError("POLYVISOR_NOT_FOUND", `volume "${name}" does not exist`);
  }

  /** The place of a class with the most room, among those that answer. */
  async roomiest(className: string, signal: AbortSignal): Promise<VolumePlace> {
    const reachable = this.of(className).filter(({ host }) => host.isReachable);
    const offers = await Promise.all(
      reachable.map(async (place) => ({
        place,
        available: await translated(place.host.name, () => place.pool.availableBytes(signal)),
      })),
    );
    const best = offers.toSorted((a, b) => b.available - a.available)[0];
    if (best) return best.place;
    const message = `no host with volumes of class "${className}" answers`;
    throw new PolyvisorError("POLYVISOR_UNAVAILABLE", message);
  }

  async #searchClass<T>(
    places: readonly VolumePlace[],
    look: (place: VolumePlace) => Promise<T | undefined>,
  ): Promise<T | undefined> {
    const lookAt = (place: VolumePlace): Promise<T | undefined> =>
      translated(place.host.name, () => look(place));
    if (places[0]?.pool.settings.shared !== true) return firstFound(places.map(lookAt));
    const problems: unknown[] = [];
    const answering = places.toSorted(
      (a, b) => Number(b.host.isReachable) - Number(a.host.isReachable),
    );
    for (const place of answering) {
      try {
        return await lookAt(place);
      } catch (error) {
        problems.push(error);
      }
    }
    throw problems[0];
  }
}

async function firstFound<T>(searches: readonly Promise<T | undefined>[]): Promise<T | undefined> {
  const searched = await Promise.allSettled(searches);
  for (const result of searched) {
    if (result.status === "fulfilled" && result.value !== undefined) return result.value;
  }
  const failed = searched.find((result) => result.status === "rejected");
  if (failed) throw failed.reason;
  return undefined;
}
