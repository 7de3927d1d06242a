import type { GuestDisk, GuestRef } from "./guest-spec.ts";

/** Changes guests while they run. What a guest has is in its state. */
export interface Hotplug {
  /**
   * Plugs a disk or CD-ROM into a running guest. Does nothing when a disk of that name is there.
   *
   * @throws `POLYVISOR_REFUSED` when the guest does not run there or has no place for it.
   */
  attachDisk(ref: GuestRef, host: string, disk: GuestDisk, signal: AbortSignal): Promise<void>;

  /**
   * Unplugs a disk, and returns when the guest has let go of it. Does nothing when it is not there.
   *
   * @throws `POLYVISOR_REFUSED` when the guest says no, `POLYVISOR_TIMEOUT` when it does not answer; the disk may be
   *   unplugged again then.
   */
  detachDisk(ref: GuestRef, host: string, name: string, signal: AbortSignal): Promise<void>;

  /** Tells a running guest that a disk has grown to `sizeBytes`. */
  resizeDisk(
    ref: GuestRef,
    host: string,
    name: string,
    sizeBytes: number,
    signal: AbortSignal,
  ): Promise<void>;
}
