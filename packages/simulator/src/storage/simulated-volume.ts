import type { BlockSource, VolumeState } from "@polyvisor/core";
import type { Content } from "./content.ts";

/** A volume. */
export interface SimulatedVolume {
  readonly storage: string;
  /** True when it lies on one host. */
  readonly local: boolean;
  state: VolumeState;
  content: Content;
  /** Where it is on its hosts, or in the cluster. */
  readonly source: BlockSource;
  /** Hosts that it is attached to. */
  readonly attached: Set<string>;
}

/** A snapshot of a volume. */
export interface SimulatedSnapshot {
  readonly name: string;
  readonly volume: string;
  readonly storageClass: string;
  readonly content: Content;
}

/** Every volume by where hosts and guests find it. */
export class VolumeDirectory {
  readonly #volumes = new Map<string, SimulatedVolume>();

  add(volume: SimulatedVolume): void {
    this.#volumes.set(keyOf(volume.source), volume);
  }

  remove(volume: SimulatedVolume): void {
    this.#volumes.delete(keyOf(volume.source));
  }

  find(source: BlockSource): SimulatedVolume | undefined {
    return this.#volumes.get(keyOf(source));
  }
}

/** What tells a source from all others. */
export function keyOf(source: BlockSource): string {
  return source.type === "claim" ? `claim ${source.namespace}/${source.name}` : source.path;
}
