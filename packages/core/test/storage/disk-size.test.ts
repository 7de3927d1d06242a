import { describe, expect, it } from "vitest";
import {
  decideResize,
  planSize,
  type ResizeDecision,
  type ResizeInputs,
} from "../../src/storage/disk-size.ts";

const MIB = 2 ** 20;
const GIB = 2 ** 30;

describe("planSize", () => {
  it.each([
    ["100Mi", undefined, 100 * MIB],
    ["1", undefined, MIB],
    [undefined, 2590 * MIB, 2590 * MIB],
    [undefined, 2590 * MIB - 1, 2590 * MIB],
    ["10Gi", 2590 * MIB, 10 * GIB],
    ["2590Mi", 2590 * MIB - 1, 2590 * MIB],
  ])("of %s for a source of %s bytes is %d", (wanted, source, bytes) => {
    expect(planSize(wanted, source)).toEqual({ bytes });
  });

  it("is none when the image does not fit", () => {
    expect(planSize("1Gi", 2 * GIB)).toEqual({
      bytes: undefined,
      message:
        "spec.persistentVolumeClaim.size (1Gi) is smaller than the image, which needs 2Gi: set it to at least that, or leave it out.",
    });
  });

  it("grows to that of a snapshot", () => {
    expect(planSize("1Gi", 2 * GIB, "snapshot")).toEqual({ bytes: 2 * GIB });
    expect(planSize("3Gi", 2 * GIB, "snapshot")).toEqual({ bytes: 3 * GIB });
  });
});

describe("a disk", () => {
  const wait = (message: string): ResizeDecision => ({ action: "wait", message });
  it.each<[string, Partial<ResizeInputs>, ResizeDecision]>([
    ["grows", {}, { action: "grow", bytes: 11 * GIB }],
    ["never shrinks", { wanted: "9Gi" }, { action: "none" }],
    ["stays when it has the size", { wanted: "10Gi" }, { action: "none" }],
    ["stays when no size is wanted", { wanted: undefined }, { action: "none" }],
    ["is aligned", { wanted: "10737418241" }, { action: "grow", bytes: 10 * GIB + MIB }],
    [
      "waits for a snapshot",
      { snapshotting: true },
      wait("The virtual disk cannot be selected for resizing as it is currently snapshotting."),
    ],
    [
      "waits for a migration",
      { migrating: true },
      wait("The virtual disk cannot be selected for resizing as it is currently being migrated."),
    ],
    [
      "waits for the class",
      { storageClassReady: false },
      wait("Disk resizing is not allowed: the StorageClass is not ready."),
    ],
    [
      "says that its class cannot grow",
      { expandable: false },
      wait(
        'Disk resizing is not allowed: volumes of StorageClass "r2" cannot be expanded: create a larger disk and copy the content.',
      ),
    ],
  ])("%s", (_, inputs, decision) => {
    expect(
      decideResize({
        wanted: "11Gi",
        capacityBytes: 10 * GIB,
        storageClassReady: true,
        expandable: true,
        storageClassName: "r2",
        snapshotting: false,
        migrating: false,
        ...inputs,
      }),
    ).toEqual(decision);
  });
});
