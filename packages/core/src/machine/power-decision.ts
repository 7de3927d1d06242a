import type { GuestRecord } from "../api/virtual-machine-status.ts";
import type { RunPolicy } from "../api/virtual-machine.ts";

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
  /** The guest has ended and is no longer wanted: let the host forget it. */
  | { readonly type: "remove" };

/** What a decision about power depends on. */
export interface PowerInputs {
  readonly runPolicy: RunPolicy;
  readonly record: GuestRecord | undefined;
  readonly deleting: boolean;
  readonly terminationGracePeriodSeconds: number;
  /** Milliseconds since 1970. */
  readonly now: number;
}

const NONE: PowerAction = { type: "none" };

/** Decides what is to be done. Source: the DVP user guide, "Run policy". */
export function decidePower(inputs: PowerInputs): PowerAction {
  const { record, deleting, now } = inputs;
  const wanted = wantedState(inputs);
  switch (record?.state) {
    case "Starting":
      return wanted === "stopped" ? stop(inputs, now) : { type: "continue-start" };
    case "Running":
      return wanted === "stopped" ? stop(inputs, now) : NONE;
    case "Stopping":
      return stop(inputs, Date.parse(record.since));
    case "Stopped":
    case undefined:
      if (deleting) return record?.host === undefined ? NONE : { type: "remove" };
      return wanted === "running" ? { type: "start", delay: startDelay(record, now) } : NONE;
  }
}

function wantedState({
  deleting,
  runPolicy,
  record,
}: PowerInputs): "running" | "stopped" | "as-is" {
  if (deleting || runPolicy === "AlwaysOff") return "stopped";
  if (runPolicy === "AlwaysOn") return "running";
  if (runPolicy === "Manual") return "as-is";
  const stayedOff = record?.stopReason === "GuestShutdown" || record?.stopReason === "Stopped";
  return stayedOff ? "as-is" : "running";
}

function stop({ terminationGracePeriodSeconds, now }: PowerInputs, since: number): PowerAction {
  const powerOffAfter = since + terminationGracePeriodSeconds * 1000 - now;
  return powerOffAfter <= 0 ? { type: "power-off" } : { type: "shut-down", powerOffAfter };
}

/** The first repeated start is immediate; then 10 s, doubling up to 5 minutes. */
function startDelay(record: GuestRecord | undefined, now: number): number {
  if (record === undefined || record.failures <= 1) return 0;
  const pause = Math.min(10_000 * 2 ** Math.min(record.failures - 2, 20), 300_000);
  return Math.max(0, Date.parse(record.since) + pause - now);
}
