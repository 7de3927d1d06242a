import type { MigrationState } from "../backend/live-migration.ts";
import { isNotConverging, type MigrationStage } from "./migration-progress.ts";

interface Track {
  readonly id: string;
  /** The least that ever remained, and since when. */
  readonly least: number;
  readonly since: number;
  /** True once more remained than before: what has changed meanwhile is copied again. */
  readonly again: boolean;
}

/** Follows what remains to be copied by migrations, to tell those that get nowhere. */
export class MigrationTracker {
  readonly #tracks = new Map<string, Track>();

  /** The stage of a migration, after another look at it. */
  stageOf(state: MigrationState, now: number): MigrationStage {
    switch (state.phase) {
      case "pending":
        return { stage: state.message === undefined ? "scheduling" : "unschedulable" };
      case "preparing":
        return { stage: "preparing" };
      case "copying": {
        const { totalBytes = 0, remainingBytes = totalBytes } = state;
        const { again } = this.#follow(state.id, remainingBytes, now);
        return { stage: "syncing", totalBytes, remainingBytes, again };
      }
      case "switching":
        return { stage: "source-suspended" };
      case "succeeded":
        return { stage: "target-resumed" };
      case "failed":
      case "cancelled":
        return { stage: "preparing" };
    }
  }

  /** True for a migration that will not end as it goes. */
  isStuck(state: MigrationState, autoConverge: boolean, now: number): boolean {
    const track = this.#tracks.get(state.id);
    if (track === undefined || state.phase !== "copying") return false;
    return isNotConverging({
      again: track.again,
      autoConverge,
      throttlePercent: state.throttlePercent ?? 0,
      stalledFor: now - track.since,
    });
  }

  /** Forgets a migration that is over. */
  forget(id: string): void {
    this.#tracks.delete(id);
  }

  #follow(id: string, remaining: number, now: number): Track {
    const before = this.#tracks.get(id);
    const track: Track =
      before === undefined
        ? { id, least: remaining, since: now, again: false }
        : remaining < before.least
          ? { ...before, least: remaining, since: now }
          : { ...before, again: before.again || remaining > before.least };
    this.#tracks.set(id, track);
    return track;
  }
}
