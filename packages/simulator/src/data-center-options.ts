import type { FenceOptions } from "./fencing/simulated-fencing.ts";
import type { Fault } from "./faults/fault.ts";
import type { GuestBehaviour } from "./guests/guest-behaviour.ts";
import type { HostOptions } from "./hosts/host-options.ts";
import type { ImageOptions } from "./images/image-options.ts";
import type { StorageOptions } from "./storage/storage-options.ts";
import type { VirtualClock } from "./time/virtual-clock.ts";

/** What a data centre is made of. */
export interface DataCenterOptions {
  /** What all chance follows from: the same seed and the same calls give the same run. Default 1. */
  readonly seed?: number | string;
  /** Default: one of its own, standing at 2026-01-01T00:00:00Z. */
  readonly clock?: VirtualClock;
  /**
   * `explicit`: whoever starts a guest names its host, and volumes become paths there, as with libvirt. `delegated`: a
   * cluster that schedules by itself and takes volumes as claims, as KubeVirt. Default `explicit`.
   */
  readonly placement?: "explicit" | "delegated";
  /** Hosts, or how many there are of the usual ones, called `node-1` and so on. Default 3. */
  readonly hosts?: number | readonly HostOptions[];
  /** Default: one storage `storage` with one class of that name. */
  readonly storages?: readonly StorageOptions[];
  /** Images by URL, or by container image. Default: none. */
  readonly images?: Readonly<Record<string, ImageOptions>>;
  /** Default: one fence device `fence` with power over all hosts. */
  readonly fences?: readonly FenceOptions[];
  /** How guests behave, by `namespace/name` with `*` for any letters; the first that fits holds. */
  readonly guests?: Readonly<Record<string, GuestBehaviour>>;
  /** What goes wrong. Default: nothing. */
  readonly faults?: readonly Fault[];
}
