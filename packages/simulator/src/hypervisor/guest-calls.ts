import { type GuestRef, PolyvisorError } from "@polyvisor/core";
import type { Verb } from "../faults/fault.ts";
import type { GuestRun } from "../guests/guest-run.ts";

/** Brings calls about a guest to where it runs. */
export interface GuestCalls {
  /**
   * Does `act` with the guest.
   *
   * @throws `POLYVISOR_REFUSED` when that incarnation does not run on that host.
   */
  onGuest<T>(
    call: { readonly verb: Verb; readonly ref: GuestRef; readonly host?: string | undefined },
    signal: AbortSignal | undefined,
    act: (run: GuestRun) => T | Promise<T>,
  ): Promise<T>;
}

/** The run that a call is about. */
export function runningGuest(run: GuestRun | undefined, ref: GuestRef, where: string): GuestRun {
  if (run?.isActive && run.spec.incarnation === ref.incarnation) return run;
  throw new PolyvisorError(
    "POLYVISOR_REFUSED",
    `incarnation ${ref.incarnation} of guest ${ref.uid} does not run ${where}`,
  );
}

/** @throws `POLYVISOR_REFUSED` for a migration that was cancelled before it had begun. */
export function checkNotCancelled(run: GuestRun, id: string): void {
  if (run.cancelledMigrations?.has(id) !== true) return;
  throw new PolyvisorError(
    "POLYVISOR_REFUSED",
    `migration ${id} was cancelled before it had begun`,
  );
}
