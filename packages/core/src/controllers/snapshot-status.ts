import type { Resource } from "../api/meta.ts";
import type {
  FrozenGuest,
  SnapshotPhase,
  VirtualDiskSnapshotStatus,
} from "../api/virtual-disk-snapshot.ts";
import { messageOf } from "../util/errors.ts";
import type { EventSink } from "./event-recorder.ts";
import { SnapshotProblem } from "./snapshot-taker.ts";

/** How a snapshot stands. */
export interface SnapshotOutcome {
  readonly phase: SnapshotPhase;
  /** Of the condition that the snapshot is ready. */
  readonly reason: string;
  readonly message: string;
  /** Why a snapshot of the disk cannot be taken; empty when it can. */
  readonly diskReady?: string;
  readonly frozenGuest?: FrozenGuest;
  readonly taken?: Partial<VirtualDiskSnapshotStatus>;
}

/** The outcome of a snapshot that could not be taken. */
export function failureOf(
  error: unknown,
  kind: "VirtualDiskSnapshot" | "VirtualMachineSnapshot",
): SnapshotOutcome {
  const reason = error instanceof SnapshotProblem ? error.reason : `${kind}Failed`;
  return { phase: "Failed", reason, message: messageOf(error) };
}

const SAID = {
  InProgress: ["VirtualMachineSnapshottingStarted", "The snapshot is being taken."],
  Ready: ["VirtualMachineSnapshottingCompleted", "The snapshot was taken."],
  Failed: ["VirtualMachineSnapshottingFailed", ""],
} as const;

/** Says what has happened to a snapshot, at transitions. */
export function tellSnapshot(
  events: EventSink,
  snapshot: Resource,
  before: SnapshotPhase | undefined,
  { phase, message }: SnapshotOutcome,
): void {
  if (phase === before || phase === "Pending" || phase === "Terminating") return;
  const [reason, text] = SAID[phase];
  const type = phase === "Failed" ? "Warning" : "Normal";
  events.record(snapshot, { reason, message: text || message, type });
}
