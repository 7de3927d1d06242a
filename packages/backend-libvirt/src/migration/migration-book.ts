import type { MigrationState } from "@polyvisor/core";
import type { MigrationMark } from "./migration-mark.ts";

/** What is known of the migrations that are under way, by the uid of the guest. */
export class MigrationBook {
  readonly #states = new Map<string, MigrationState>();

  /** All of them, by the uid of the guest. */
  migrations(): ReadonlyMap<string, Pick<MigrationMark, "source" | "target">> {
    return new Map(
      Array.from(this.#states, ([uid, { source, target = source }]) => [uid, { source, target }]),
    );
  }

  get(uid: string): MigrationState | undefined {
    return this.#states.get(uid);
  }

  set(uid: string, state: MigrationState): void {
    this.#states.set(uid, state);
  }

  delete(uid: string): void {
    this.#states.delete(uid);
  }

  /** The state of a guest's last migration, of which a host knows the mark. */
  stateOf(uid: string, mark: MigrationMark, host: string): MigrationState {
    const present = this.#states.get(uid);
    if (present?.id === mark.id) return present;
    const { id, source, target, end, message } = mark;
    const phase = end ?? (host === target ? "succeeded" : "copying");
    return { id, source, target, phase, ...(message !== undefined && { message }) };
  }
}
