import { describe, expect, it } from "vitest";
import {
  judgeDataSource,
  type SourceInputs,
  type SourceObject,
  type SourceUser,
} from "../../src/storage/data-source-decision.ts";

const DISK: SourceUser = { kind: "VirtualDisk", filling: false };
const IMAGE: SourceUser = { kind: "VirtualImage", filling: false };

type ObjectKind = Extract<SourceInputs, { type: "object" }>["kind"];

function from(kind: ObjectKind, object?: Partial<SourceObject>): SourceInputs {
  return {
    type: "object",
    kind,
    name: "it",
    namespace: kind === "ClusterVirtualImage" ? undefined : "default",
    object: object && { phase: "Ready", deleting: false, ...object },
  };
}

describe("a source is ready", () => {
  it.each<[string, SourceUser, SourceInputs]>([
    ["when there is none", DISK, { type: "none" }],
    ["on a server", DISK, { type: "http" }],
    ["when it will be sent", IMAGE, { type: "upload" }],
    ["in a registry for all", IMAGE, { type: "container-image" }],
    [
      "in a registry with a secret",
      IMAGE,
      { type: "container-image", secret: { name: "pull", problem: undefined } },
    ],
    ["as an image", DISK, from("VirtualImage", {})],
    ["as a snapshot", DISK, from("VirtualDiskSnapshot", {})],
    ["as a disk that nobody uses", IMAGE, from("VirtualDisk", {})],
    ["as an ISO image, for an image", IMAGE, from("VirtualImage", { cdrom: true })],
    [
      "while it is deleted, for what is being filled from it",
      { kind: "VirtualDisk", filling: true },
      from("VirtualImage", { deleting: true, phase: "Terminating" }),
    ],
  ])("%s", (_, user, source) => {
    expect(judgeDataSource(user, source)).toMatchObject({
      status: "True",
      reason: "DatasourceReady",
    });
  });
});

describe("a source is not ready", () => {
  it.each<[SourceUser, SourceInputs, string, string]>([
    [
      IMAGE,
      { type: "container-image", secret: { name: "pull", problem: "Secret a/pull not found" } },
      "ContainerRegistrySecretNotFound",
      "spec.dataSource.containerImage.imagePullSecret: Secret a/pull not found",
    ],
    [
      DISK,
      from("VirtualImage"),
      "ImageNotFound",
      'VirtualImage "it" does not exist in namespace "default": create it or correct the name.',
    ],
    [DISK, from("ClusterVirtualImage"), "ClusterImageNotFound", '"it" does not exist: create'],
    [IMAGE, from("VirtualImage"), "ImageNotReady", "does not exist"],
    [DISK, from("VirtualDiskSnapshot"), "VirtualDiskSnapshotNotReady", "does not exist"],
    [
      DISK,
      from("VirtualImage", { phase: "Provisioning" }),
      "ImageNotReady",
      'spec.dataSource.objectRef: VirtualImage "it" is Provisioning: waiting for it to be Ready.',
    ],
    [DISK, from("ClusterVirtualImage", { phase: undefined }), "ClusterImageNotReady", "is Pending"],
    [DISK, from("VirtualImage", { deleting: true }), "ImageNotReady", "is Terminating"],
    [
      DISK,
      from("VirtualImage", { cdrom: true }),
      "ImageNotReady",
      'VirtualImage "it" is an ISO image, and a disk cannot be made of one: choose a disk image.',
    ],
    [IMAGE, from("VirtualDisk", { phase: "Failed" }), "VirtualDiskNotReady", "is Failed: waiting"],
    [
      IMAGE,
      from("VirtualDisk", { mountedBy: "linux-vm" }),
      "VirtualDiskAttachedToVirtualMachine",
      'VirtualDisk "it" is attached to the running VirtualMachine "linux-vm": stop it or remove the disk from it.',
    ],
    [
      IMAGE,
      from("VirtualDisk", { busy: "being resized" }),
      "VirtualDiskNotReadyForUse",
      'VirtualDisk "it" is being resized: waiting for that to end.',
    ],
  ])("%j %j", (user, source, reason, message) => {
    const judged = judgeDataSource(user, source);
    expect(judged).toMatchObject({ status: "False", reason });
    expect(judged.message).toContain(message);
  });
});
