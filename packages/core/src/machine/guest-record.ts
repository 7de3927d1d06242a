import type { GuestRecord, GuestStopReason } from "../api/virtual-machine-status.ts";
import type { GuestState, StopReason } from "../backend/hypervisor.ts";

/**
 * What is known of a guest now: nothing (its host does not answer), that its host does not have it, or its state there.
 */
export type GuestObservation =
  | { readonly state: "unknown" }
  | { readonly state: "absent" }
  | { readonly state: "present"; readonly guest: GuestState };

/** A run at least so long ends a row of failures, in milliseconds. */
const STABLE_RUN = 600_000;

const STOP_REASONS: Readonly<Record<StopReason, GuestStopReason>> = {
  "guest-shutdown": "GuestShutdown",
  "guest-reset": "GuestReset",
  stopped: "Stopped",
  crashed: "Crashed",
  "host-lost": "HostLost",
  "start-failed": "StartFailed",
  unknown: "Lost",
};

/** The record brought up to date with what was observed; the same object when nothing has changed. */
export function recordObservation(
  record: GuestRecord | undefined,
  observation: GuestObservation,
  now: string,
): GuestRecord | undefined {
  if (observation.state === "unknown") return record;
  if (observation.state === "absent") return missing(record, now);
  const { guest } = observation;
  if (guest.incarnation < (record?.incarnation ?? 0)) {
    // What is left of an earlier run says that the host does not have the present one.
    return guest.power === "stopped" ? missing(record, now) : record;
  }
  if (guest.power === "stopped") {
    if (record === undefined || record.state === "Stopped") return record;
    const reason = STOP_REASONS[guest.stopReason ?? "unknown"];
    return ended(record, record.state === "Stopping" ? "StoppedByPolicy" : reason, now);
  }
  if (record?.state === "Running" || record?.state === "Stopping") return record;
  // Also a guest that somebody has started by other means: what runs is never denied.
  return {
    ...(record?.appliedSpec && { appliedSpec: record.appliedSpec }),
    incarnation: guest.incarnation,
    ...(guest.host !== undefined && { host: guest.host }),
    state: "Running",
    since: now,
    failures: record?.failures ?? 0,
  };
}

function missing(record: GuestRecord | undefined, now: string): GuestRecord | undefined {
  if (record?.state === "Running") return ended(record, "Lost", now);
  return record?.state === "Stopping" ? ended(record, "StoppedByPolicy", now) : record;
}

function ended(record: GuestRecord, stopReason: GuestStopReason, now: string): GuestRecord {
  const byItself = stopReason !== "StoppedByPolicy" && stopReason !== "Stopped";
  const stable =
    record.state === "Running" && Date.parse(now) - Date.parse(record.since) >= STABLE_RUN;
  const failures = byItself ? (stable ? 1 : record.failures + 1) : 0;
  const { appliedSpec: _, ...rest } = record;
  return { ...rest, state: "Stopped", stopReason, since: now, failures };
}
