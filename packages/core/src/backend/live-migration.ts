import type { GuestDisk, GuestRef } from "./guest-spec.ts";
import type { Placement } from "./placement.ts";

/** A migration that is wanted. */
export interface MigrationRequest {
  /** Chosen by the caller, unique for the guest: a migration with this id is never begun twice. */
  readonly id: string;
  /** The host that the guest runs on. */
  readonly source: string;
  /** Another host than `source`. */
  readonly target: Placement;
  /** The guest's disks as the target finds them. */
  readonly disks: readonly GuestDisk[];
  /** Slows the guest down when its memory changes faster than it can be copied. */
  readonly autoConverge: boolean;
  /** Absent: as fast as the network allows. */
  readonly bandwidthBytesPerSecond?: number;
}

/** How far a migration has come, or how it ended. */
export interface MigrationState {
  readonly id: string;
  readonly source: string;
  /** Absent until a scheduler has chosen. */
  readonly target?: string;
  readonly phase:
    /** Waits for a place. */
    | "pending"
    | "preparing"
    | "copying"
    /** The guest is held on the source and goes on at the target. */
    | "switching"
    | "succeeded"
    | "failed"
    | "cancelled";
  /** Of memory and disks; absent when the hypervisor does not say. */
  readonly totalBytes?: number;
  readonly remainingBytes?: number;
  /** How much the guest is slowed down, 0 to 99. */
  readonly throttlePercent?: number;
  /** Why it failed, or what it waits for. */
  readonly message?: string;
}

/**
 * Moves running guests between hosts. A guest never runs on two hosts: until the switch it runs on the source, after it
 * on the target, and a migration that fails or is cancelled leaves it where it was.
 */
export interface LiveMigration {
  /**
   * Begins a migration and returns when it is under way. Progress and end come with the guest's state and its events.
   * Does nothing when the migration with this id is under way or has ended.
   *
   * @throws `POLYVISOR_REFUSED` when the guest does not run there, when another migration of it is under way, or when the
   *   target cannot take it; the guest is then as it was.
   */
  start(ref: GuestRef, request: MigrationRequest, signal: AbortSignal): Promise<void>;

  /**
   * Asks for the end of a migration; the guest's state tells how it went. Does nothing when it is over, and nothing can
   * be done once the guest is being switched. One that has not begun is refused from then on: a start whose answer was
   * lost may still be under way.
   */
  cancel(ref: GuestRef, id: string, signal: AbortSignal): Promise<void>;
}
