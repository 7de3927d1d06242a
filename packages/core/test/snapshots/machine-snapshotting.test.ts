import { expect, it } from "vitest";
import { snapshottingConditions } from "../../src/snapshots/machine-snapshotting.ts";

it.each<[("Pending" | "InProgress")[], string | undefined]>([
  [[], undefined],
  [["Pending"], "WaitingForTheSnapshotToStart"],
  [["Pending", "InProgress"], "SnapshottingInProgress"],
])("snapshots that are %j show as %s", (phases, reason) => {
  expect(snapshottingConditions(phases)[0]?.reason).toBe(reason);
});
