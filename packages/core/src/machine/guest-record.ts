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

/** A guest that reboots after so long does so because it wants to, and not because it fails. */
const STABLE_BOOT = 60_000;

const STOP_REASONS: Readonly<Record<StopReason, GuestStopReason>> = {
  "guest-shutdown": "GuestShutdown",
  "guest-reset": "GuestReset",
  stopped: "Stopped",
  crashed: "Crashed",
  "host-lost": "HostLost",
  "start-failed": "StartFailed",
  unknown: "Lost",
};

/** Ends that say that a guest does not work. */
const FAILURES: ReadonlySet<GuestStopReason> = new Set([
  "GuestShutdown",
  "GuestReset",
  "Crashed",
  "HostLost",
  "StartFailed",
  "Lost",
]);

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
  switch (guest.power) {
    case "stopped": {
      if (record === undefined || record.state === "Stopped") return record;
      return ended(record, STOP_REASONS[guest.stopReason ?? "unknown"], now);
    }
    case "pending":
    case "starting":
      // On its way. Where a scheduler has put it is worth to be known.
      return record?.state === "Starting" ? atHost(record, guest.host) : record;
    case "running":
    case "paused":
    case "stopping":
      return running(record, guest, now);
  }
}

function running(
  record: GuestRecord | undefined,
  guest: GuestState,
  now: string,
): GuestRecord | undefined {
  if (record?.state === "Running" || record?.state === "Stopping") {
    // During a migration the host is changed when both hosts are as they should be.
    return record.migration === undefined ? atHost(record, guest.host) : record;
  }
  // Also a guest that somebody has started by other means: what runs is never denied.
  return {
    ...(record?.appliedSpec && { appliedSpec: record.appliedSpec }),
    ...(record?.devices && { devices: record.devices }),
    ...(record?.operation && { operation: record.operation }),
    ...(record?.hypervisor !== undefined && { hypervisor: record.hypervisor }),
    incarnation: guest.incarnation,
    ...(guest.host !== undefined && { host: guest.host }),
    state: "Running",
    since: now,
    failures: record?.failures ?? 0,
  };
}

function atHost(record: GuestRecord, host: string | undefined): GuestRecord {
  return host === undefined || record.host === host ? record : { ...record, host };
}

function missing(record: GuestRecord | undefined, now: string): GuestRecord | undefined {
  return record?.state === "Running" || record?.state === "Stopping"
    ? ended(record, "Lost", now)
    : record;
}

function ended(record: GuestRecord, observed: GuestStopReason, now: string): GuestRecord {
  const stopReason =
    record.state === "Stopping" ? (record.stopCause ?? "StoppedByPolicy") : observed;
  const ran = record.state === "Running" ? Date.parse(now) - Date.parse(record.since) : 0;
  const failed = FAILURES.has(stopReason);
  const wanted = stopReason === "GuestReset" && ran >= STABLE_BOOT;
  const failures = !failed || wanted ? 0 : ran >= STABLE_RUN ? 1 : record.failures + 1;
  const { appliedSpec: _, stopCause: _cause, forced: _forced, ...rest } = record;
  return { ...rest, state: "Stopped", stopReason, since: now, failures };
}
