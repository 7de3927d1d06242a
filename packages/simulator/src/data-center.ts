import type {
  Backend,
  Fencing,
  GuestSpec,
  GuestState,
  ImageStore,
  RandomSource,
} from "@polyvisor/core";
import type { EventLog } from "./event-log.ts";
import type { Fault } from "./faults/fault.ts";
import type { GuestBehaviour } from "./guests/guest-behaviour.ts";
import type { ImageOptions } from "./images/image-options.ts";
import type { CutLoss } from "./network/network.ts";
import type { VirtualClock } from "./time/virtual-clock.ts";

/** A host, for whoever stands in front of it. */
export interface HostControls {
  readonly name: string;
  readonly power: "off" | "booting" | "on";
  /** Does nothing when it is on. */
  powerOn(): void;
  /** Takes the power away; its guests end at once. */
  powerOff(): void;
  /** Takes the power away and gives it back. */
  reset(): void;
  /** Puts a guest on it that carries no mark of ours. */
  addUnknownGuest(name: string): void;
}

/** A guest that runs, for whoever is inside. Every verb fails with `POLYVISOR_NOT_FOUND` when it does not run. */
export interface GuestControls {
  /** As its host sees it. */
  readonly state: GuestState;
  /** What it was built from. */
  readonly spec: GuestSpec;
  /** Shuts down of its own accord. */
  shutDown(): void;
  /** Reboots of its own accord. */
  reboot(): void;
  /** Ends at once. */
  crash(): void;
  /** Does nothing any more: no shutdown, no agent. */
  hang(): void;
  /** Undoes {@link hang}. */
  recover(): void;
  startAgent(): void;
  stopAgent(): void;
  /** Changes how it behaves from now on; what is left out stays. */
  behave(behaviour: Omit<GuestBehaviour, "boot" | "shutDown" | "os">): void;
  /**
   * Writes to a disk.
   *
   * @throws `POLYVISOR_NOT_FOUND` when the guest has no such disk.
   */
  write(disk: string, offset: number, bytes: Uint8Array): void;
  /** Reads from a disk. */
  read(disk: string, offset: number, length: number): Uint8Array;
}

/** A storage, for whoever stands in front of it. */
export interface StorageControls {
  /** Names of its volumes, sorted. */
  volumes(): readonly string[];
  /** From now on it takes nothing more. */
  fill(): void;
  /** Undoes {@link fill}. */
  free(): void;
  /** A volume is gone, with what it held. */
  loseVolume(name: string): void;
}

/** The cluster of a data centre with delegated placement, for its administrator. */
export interface ClusterControls {
  /** Keeps new guests away from a host. */
  cordon(host: string): void;
  uncordon(host: string): void;
  /** Says that a host is gone for good, so that what ran there has ended. Whoever says so must be sure of it. */
  declareDead(host: string): void;
}

/** A data centre in memory. */
export interface DataCenter {
  /** Drives everything. */
  readonly clock: VirtualClock;
  readonly log: EventLog;
  /** What `createPlatform()` takes: `createPlatform({ ...center.parts, settings })`. */
  readonly parts: {
    readonly backends: readonly Backend[];
    readonly imageStore: ImageStore;
    readonly clock: VirtualClock;
    readonly random: RandomSource;
  };
  readonly fences: readonly Fencing[];

  /** @throws `POLYVISOR_NOT_FOUND`, as the others below. */
  host(name: string): HostControls;
  /** @param name `namespace/name`; without a namespace that of `default`. */
  guest(name: string): GuestControls;
  storage(name: string): StorageControls;
  /** @throws `POLYVISOR_UNSUPPORTED` with explicit placement. */
  readonly cluster: ClusterControls;

  /** Every guest that runs, by `namespace/name`. */
  guests(): readonly GuestState[];
  /** Serves an image at a URL, or as a container image. */
  serveImage(address: string, image: ImageOptions): void;
  /**
   * Cuts the link between two of: `manager`, `images`, `cluster`, hosts, storages and fences by name. Dispose of the
   * result to mend it.
   */
  cut(a: string, b: string, lose?: CutLoss): Disposable;
  /** Adds a fault. Dispose of the result to take it away; what has happened stays. */
  addFault(fault: Fault): Disposable;
  /** What must never be, and has been: two guests with one disk or address, or two runs of one VM. */
  violations(): readonly string[];
}
