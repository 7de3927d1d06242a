import type { ConditionInput } from "../api/conditions.ts";

/** The conditions of a machine that come from its snapshots. */
export function snapshottingConditions(inputs: {
  /** Phases of the machine's own snapshots that are not taken yet. */
  readonly snapshots: readonly ("Pending" | "InProgress")[];
  /** True while its guest's file systems are held at rest. */
  readonly frozen: boolean;
}): ConditionInput[] {
  const conditions: ConditionInput[] = [];
  const { snapshots, frozen } = inputs;
  if (snapshots.includes("InProgress")) {
    conditions.push(yes("Snapshotting", "SnapshottingInProgress", "A snapshot is being taken."));
  } else if (snapshots.length > 0) {
    const message = "A snapshot waits for being taken.";
    conditions.push(yes("Snapshotting", "WaitingForTheSnapshotToStart", message));
  }
  if (frozen) {
    conditions.push(yes("FilesystemFrozen", "Frozen", "The file systems of the guest are frozen."));
  }
  return conditions;
}

function yes(type: string, reason: string, message: string): ConditionInput {
  return { type, status: "True", reason, message };
}
