import type { VirtualDiskSpec, VirtualImage } from "@polyvisor/core";
import { describe, expect, it } from "vitest";
import { type DiskSource, judgeDisk, planSize } from "../../src/controllers/disk-plan.ts";
import { disk, image, metadata, storageClass } from "../support/resources.ts";

const MIB = 2 ** 20;

function fromImage(kind: "VirtualImage" | "ClusterVirtualImage" = "VirtualImage"): VirtualDiskSpec {
  return { dataSource: { type: "ObjectRef", objectRef: { kind, name: "ubuntu" } } };
}

function source(found: VirtualImage | undefined): DiskSource {
  return { type: "image", image: found };
}

function gone(found: VirtualImage): VirtualImage {
  const deletionTimestamp = "2026-01-01T00:00:00Z";
  return { ...found, metadata: metadata("ubuntu", { deletionTimestamp }) };
}

describe("judgeDisk", () => {
  const ready = image("ubuntu", { phase: "Ready", cdrom: false });
  const ofRef = 'spec.dataSource.objectRef: VirtualImage "ubuntu"';

  it.each<[string, VirtualDiskSpec, DiskSource]>([
    ["a blank disk", {}, { type: "blank" }],
    ["a disk of a URL", {}, { type: "http" }],
    ["a disk of a Ready image", fromImage(), source(ready)],
  ])("finds nothing missing for %s", (_, spec, from) => {
    const { conditions, ready: isReady } = judgeDisk(
      disk("d", spec),
      from,
      storageClass("fast"),
      true,
    );
    expect(isReady).toBe(true);
    expect(conditions.map(({ type, status }) => `${type}=${status}`)).toEqual([
      "DatasourceReady=True",
      "StorageClassReady=True",
    ]);
  });

  it.each<[string, VirtualDiskSpec, DiskSource, string, string]>([
    [
      "no image",
      fromImage(),
      source(undefined),
      "ImageNotFound",
      `${ofRef} does not exist in namespace "default": create it or correct the name.`,
    ],
    [
      "no cluster image",
      fromImage("ClusterVirtualImage"),
      source(undefined),
      "ClusterImageNotFound",
      'spec.dataSource.objectRef: ClusterVirtualImage "ubuntu" does not exist: create it or correct the name.',
    ],
    [
      "an image without status",
      fromImage(),
      source(image("ubuntu")),
      "ImageNotReady",
      `${ofRef} is Pending: waiting for it to be Ready.`,
    ],
    [
      "an image that failed",
      fromImage(),
      source(image("ubuntu", { phase: "Failed" })),
      "ImageNotReady",
      `${ofRef} is Failed: waiting for it to be Ready.`,
    ],
    [
      "an ISO image",
      fromImage(),
      source(image("ubuntu", { phase: "Ready", cdrom: true })),
      "ImageNotReady",
      `${ofRef} is an ISO image, and a disk cannot be made of one: choose a disk image.`,
    ],
    [
      "an image that is being deleted",
      fromImage(),
      source(gone(image("ubuntu", { phase: "Terminating" }))),
      "ImageNotReady",
      `${ofRef} is Terminating: waiting for it to be Ready.`,
    ],
  ])("says what to do about %s", (_, spec, from, reason, message) => {
    const judged = judgeDisk(disk("d", spec), from, storageClass("fast"), true);
    expect(judged.ready).toBe(false);
    expect(judged.conditions[0]).toEqual({
      type: "DatasourceReady",
      status: "False",
      reason,
      message,
    });
  });

  it("lets a disk be filled to the end from an image that is being deleted", () => {
    const filling = disk("d", fromImage(), { phase: "Provisioning" });
    for (const phase of ["Ready", "Terminating"] as const) {
      const from = source(gone(image("ubuntu", { phase })));
      expect(judgeDisk(filling, from, storageClass("fast"), true).ready).toBe(true);
    }
  });

  it.each([
    [{}, "No StorageClass is marked as default: set spec.persistentVolumeClaim.storageClassName."],
    [
      { persistentVolumeClaim: { storageClassName: "fast" } },
      'spec.persistentVolumeClaim.storageClassName: StorageClass "fast" does not exist: create it or choose another.',
    ],
  ])("says what to do about a missing storage class (%#)", (spec, message) => {
    const judged = judgeDisk(disk("d", spec), { type: "blank" }, undefined, false);
    expect(judged.ready).toBe(false);
    expect(judged.conditions[1]).toEqual({
      type: "StorageClassReady",
      status: "False",
      reason: "StorageClassNotReady",
      message,
    });
  });
});

it("says what to do about a storage class without a storage", () => {
  const judged = judgeDisk(disk("d"), { type: "blank" }, storageClass("fast"), false);
  expect(judged.ready).toBe(false);
  expect(judged.conditions[1]).toEqual({
    type: "StorageClassReady",
    status: "False",
    reason: "StorageClassNotReady",
    message:
      'StorageClass "fast" is of provisioner "fake-storage", and the platform has no storage of that name: add that storage or choose another class.',
  });
});

describe("planSize", () => {
  it.each<[string | undefined, number | undefined, number]>([
    [undefined, 300 * MIB, 300 * MIB],
    [undefined, 300 * MIB + 1, 301 * MIB],
    ["1Gi", undefined, 1024 * MIB],
    ["1Gi", 300 * MIB, 1024 * MIB],
    ["300Mi", 300 * MIB, 300 * MIB],
    ["1G", undefined, 954 * MIB],
    ["1", undefined, MIB],
    ["299.5Mi", 300 * MIB, 300 * MIB],
  ])("for a wish of %s and an image of %s is %d", (size, imageBytes, bytes) => {
    const wanted = disk("d", size === undefined ? {} : { persistentVolumeClaim: { size } });
    expect(planSize(wanted, imageBytes)).toEqual({ bytes });
  });

  it("refuses a disk that is smaller than its image and says how large it must be", () => {
    const wanted = disk("d", { persistentVolumeClaim: { size: "100Mi" } });
    expect(planSize(wanted, 300 * MIB - 5)).toEqual({
      bytes: undefined,
      message:
        "spec.persistentVolumeClaim.size (100Mi) is smaller than the image, which needs 300Mi: set it to at least that, or leave it out.",
    });
  });
});
