import type { VolumeUse } from "@polyvisor/core";
import type { Duration } from "../time/duration.ts";

/** A class of volumes. */
export interface StorageClassOptions {
  readonly name: string;
  /** Default: true for the first class of a storage. */
  readonly isDefault?: boolean;
  /** Default: block devices that any number of hosts can have at once. */
  readonly uses?: readonly VolumeUse[];
  /** Default `Immediate`. */
  readonly bindingMode?: "Immediate" | "WaitForFirstConsumer";
  /** Default true. */
  readonly expandable?: boolean;
  /** `null`: volumes of the class have no snapshots. Default: the name of the class with `-snapshot`. */
  readonly snapshotClass?: string | null;
  /** Hosts that reach its volumes. Default: all. */
  readonly hosts?: readonly string[];
  /** True: each volume lies on one host. Default false. */
  readonly local?: boolean;
}

/** A storage of a data centre. */
export interface StorageOptions {
  readonly name: string;
  /** Default: one class with the name of the storage. */
  readonly classes?: readonly StorageClassOptions[];
  /** Default 100 TiB. */
  readonly capacityBytes?: number;
  /** With hosts that we choose: what a volume becomes on a host. Default `block`. */
  readonly gives?: "block" | "file";
  /** Each way of a call. Default `5ms`. */
  readonly latency?: Duration;
  /** How fast contents are written and read. Default 1 GiB/s. */
  readonly bytesPerSecond?: number;
  /** What it cannot do. Default: nothing. */
  readonly lacks?: readonly ("expansion" | "snapshots" | "cloning")[];
}
