import type { GuestRecord, GuestStopReason } from "../api/virtual-machine-status.ts";
import type { RunPolicy } from "../api/virtual-machine.ts";

/** An operation that is to be taken up: power, or nothing that the record of power is about. */
export interface PowerRequest {
  /** `metadata.uid` of the VirtualMachineOperation. */
  readonly uid: string;
  readonly type: "Start" | "Stop" | "Restart";
  readonly force: boolean;
}

/** What is wanted of a guest. */
export interface IntentInputs {
  readonly runPolicy: RunPolicy;
  readonly deleting: boolean;
  /** True while the VM is being restored: its guest is off, whatever the policy. */
  readonly maintenance: boolean;
  /** True when changes wait for a restart that need nobody's consent. */
  readonly restartForChanges: boolean;
  readonly request: PowerRequest | undefined;
  /** RFC 3339. */
  readonly now: string;
}

type StopCause = NonNullable<GuestRecord["stopCause"]>;

/**
 * The record with what is wanted written into it, to be stored before anything is done; the same object when nothing new
 * is wanted. Source: DVP, "Run policies".
 */
export function recordIntent(
  record: GuestRecord | undefined,
  inputs: IntentInputs,
): GuestRecord | undefined {
  const taken = takeUp(record, inputs);
  const cause = stopCauseOf(inputs);
  if (taken === undefined) return undefined;
  switch (taken.state) {
    case "Starting":
    case "Running":
      if (cause !== undefined) return stopping(taken, cause, inputs.now);
      return inputs.restartForChanges && taken.state === "Running"
        ? stopping(taken, "StoppedForRestart", inputs.now)
        : taken;
    case "Stopping":
      return taken;
    case "Stopped":
      return offByPolicy(taken, inputs);
  }
}

/** Whether a guest is wanted to run: `as-is` leaves one that is off as it is. */
export function wantsToRun(
  record: GuestRecord | undefined,
  inputs: Pick<IntentInputs, "runPolicy" | "deleting" | "maintenance">,
): boolean {
  if (stopCauseOf(inputs) !== undefined) return false;
  const { runPolicy } = inputs;
  if (runPolicy === "AlwaysOn" || record?.startRequested) return true;
  const reason = record?.stopReason;
  if (reason !== undefined && GOES_ON.has(reason)) return true;
  return runPolicy === "AlwaysOnUnlessStoppedManually" && !isByHand(reason);
}

/** After these a guest starts again under every policy but `AlwaysOff`. */
const GOES_ON: ReadonlySet<GuestStopReason> = new Set([
  "GuestReset",
  "StoppedForRestart",
  "StoppedForMaintenance",
]);

function isByHand(reason: GuestStopReason | undefined): boolean {
  return reason === "GuestShutdown" || reason === "Stopped" || reason === "StoppedByOperation";
}

function stopCauseOf({
  deleting,
  runPolicy,
  maintenance,
}: Pick<IntentInputs, "runPolicy" | "deleting" | "maintenance">): StopCause | undefined {
  if (deleting || runPolicy === "AlwaysOff") return "StoppedByPolicy";
  return maintenance ? "StoppedForMaintenance" : undefined;
}

function stopping(record: GuestRecord, stopCause: StopCause, now: string): GuestRecord {
  return { ...record, state: "Stopping", stopCause, since: now };
}

/** So that the VM starts when the policy changes from `AlwaysOff`, however it had been stopped before. */
function offByPolicy(record: GuestRecord, { runPolicy, deleting }: IntentInputs): GuestRecord {
  if (runPolicy !== "AlwaysOff" || deleting) return record;
  if (record.stopReason === "StoppedByPolicy" && !record.startRequested) return record;
  const { startRequested: _, ...rest } = record;
  return { ...rest, stopReason: "StoppedByPolicy" };
}

/** Takes up an operation, once. */
function takeUp(record: GuestRecord | undefined, inputs: IntentInputs): GuestRecord | undefined {
  const { request, now } = inputs;
  if (request === undefined || record?.operation?.uid === request.uid) return record;
  const known: GuestRecord = record ?? {
    incarnation: 0,
    state: "Stopped",
    since: now,
    failures: 0,
  };
  const operation = { uid: request.uid, incarnation: known.incarnation };
  const next: GuestRecord = { ...known, operation };
  const { startRequested: _, ...withoutStart } = next;
  const isOff = next.state === "Stopped";
  switch (request.type) {
    case "Start":
      return { ...next, startRequested: true };
    case "Restart":
      if (isOff) return { ...next, startRequested: true };
      return ordered(withoutStart, "StoppedForRestart", request.force, now);
    case "Stop":
      return isOff
        ? { ...withoutStart, stopReason: "StoppedByOperation", failures: 0 }
        : ordered(withoutStart, "StoppedByOperation", request.force, now);
  }
}

function ordered(record: GuestRecord, cause: StopCause, force: boolean, now: string): GuestRecord {
  const begun = record.state === "Stopping" ? record : stopping(record, cause, now);
  return { ...begun, stopCause: cause, ...(force && { forced: true }) };
}
