import type { GuestRecord } from "../api/virtual-machine-status.ts";
import { type IntentInputs, wantsToRun } from "./power-intent.ts";

/** What is to be done with a guest. */
export type PowerAction =
  | { readonly type: "none" }
  /** A new incarnation is wanted, after `delay` milliseconds. */
  | { readonly type: "start"; readonly delay: number }
  /** The start of the recorded incarnation was begun and its outcome is not known: ask for it again, there. */
  | { readonly type: "continue-start" }
  /** Ask the operating system; `powerOffAfter` milliseconds from now the guest is powered off. */
  | { readonly type: "shut-down"; readonly powerOffAfter: number }
  | { readonly type: "power-off" }
  /** The guest is off and stays off: let go of what is attached for it. */
  | { readonly type: "release" }
  /** The guest has ended and is no longer wanted: let the host forget it. */
  | { readonly type: "remove" };

/** What a decision about power depends on. */
export interface PowerInputs extends Pick<IntentInputs, "runPolicy" | "deleting" | "maintenance"> {
  /** With what is wanted written into it by `recordIntent`. */
  readonly record: GuestRecord | undefined;
  readonly terminationGracePeriodSeconds: number;
  /** Milliseconds since 1970. */
  readonly now: number;
}

const NONE: PowerAction = { type: "none" };

/** Decides what is to be done. Source: the DVP user guide, "Run policy". */
export function decidePower(inputs: PowerInputs): PowerAction {
  const { record, deleting, now } = inputs;
  switch (record?.state) {
    case "Starting":
      return { type: "continue-start" };
    case "Running":
      return NONE;
    case "Stopping":
      return stop(record, inputs);
    case "Stopped":
    case undefined: {
      if (deleting) return record?.host === undefined ? NONE : { type: "remove" };
      if (wantsToRun(record, inputs)) return { type: "start", delay: startDelay(record, now) };
      return record?.devices?.length ? { type: "release" } : NONE;
    }
  }
}

function stop(
  record: GuestRecord,
  { terminationGracePeriodSeconds, now }: PowerInputs,
): PowerAction {
  const grace = record.forced ? 0 : terminationGracePeriodSeconds * 1000;
  const powerOffAfter = Date.parse(record.since) + grace - now;
  return powerOffAfter <= 0 ? { type: "power-off" } : { type: "shut-down", powerOffAfter };
}

/** The first repeated start is immediate; then 10 s, doubling up to 5 minutes. */
function startDelay(record: GuestRecord | undefined, now: number): number {
  if (record === undefined || record.failures <= 1 || record.startRequested) return 0;
  const pause = Math.min(10_000 * 2 ** Math.min(record.failures - 2, 20), 300_000);
  return Math.max(0, Date.parse(record.since) + pause - now);
}
