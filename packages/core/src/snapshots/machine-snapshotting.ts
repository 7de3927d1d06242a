import type { ConditionInput } from "../api/conditions.ts";

/** The condition `Snapshotting` of a machine, from the phases of its snapshots that are not taken yet; none without. */
export function snapshottingConditions(
  phases: readonly ("Pending" | "InProgress")[],
): ConditionInput[] {
  const [type, status] = ["Snapshotting", "True"] as const;
  if (phases.includes("InProgress")) {
    const message = "A snapshot is being taken.";
    return [{ type, status, reason: "SnapshottingInProgress", message }];
  }
  if (phases.length === 0) return [];
  const message = "A snapshot waits for being taken.";
  return [{ type, status, reason: "WaitingForTheSnapshotToStart", message }];
}
