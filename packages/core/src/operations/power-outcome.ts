import type { GuestRecord } from "../api/virtual-machine-status.ts";

/** What a power operation has come to. */
export type PowerOutcome =
  | { readonly state: "waiting" }
  /** It was taken up, and what it asks for is under way. */
  | { readonly state: "under-way" }
  | { readonly state: "completed" }
  | { readonly state: "failed"; readonly message: string };

/** What the outcome of a power operation depends on. */
export interface PowerOutcomeInputs {
  readonly type: "Start" | "Stop" | "Restart";
  /** `metadata.uid` of the operation. */
  readonly uid: string;
  readonly record: GuestRecord | undefined;
  /** True while the guest is going to be started, by the operation or by the run policy. */
  readonly wantsToRun: boolean;
  /** What keeps the guest from running, as the VM says it. */
  readonly obstacle: string;
}

/** Decides how far a power operation has come, by the record alone: it shows what the operation has brought about. */
export function powerOutcome(inputs: PowerOutcomeInputs): PowerOutcome {
  const { type, uid, record, wantsToRun, obstacle } = inputs;
  const taken = record?.operation;
  if (record === undefined || taken?.uid !== uid) return { state: "waiting" };
  const isNewRun = record.incarnation > taken.incarnation;
  if (type === "Stop") {
    return { state: record.state === "Stopped" || isNewRun ? "completed" : "under-way" };
  }
  switch (record.state) {
    case "Running":
      return { state: isNewRun ? "completed" : "under-way" };
    case "Starting":
    case "Stopping":
      return { state: "under-way" };
    case "Stopped": {
      if (wantsToRun) return { state: "under-way" };
      // A guest that has run and ended since has been started all the same.
      if (isNewRun && record.stopReason !== "StartFailed") return { state: "completed" };
      const why = obstacle || "it is not wanted to run any more";
      return { state: "failed", message: `The guest was not started: ${why}` };
    }
  }
}
