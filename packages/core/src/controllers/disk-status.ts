import type { ConditionInput } from "../api/conditions.ts";
import type { VirtualDisk, VirtualDiskStatus } from "../api/virtual-disk.ts";
import { condition } from "../machine/machine-conditions.ts";
import { showProgress, STAGES } from "../storage/import-progress.ts";
import { messageOf } from "../util/errors.ts";
import { formatBytes } from "../util/quantity.ts";
import type { JobState } from "./runtime/jobs.ts";
import type { UploadState } from "./upload-state.ts";
import type { FilledVolume, VolumeProgress } from "./volume-filler.ts";
import { volumeName } from "./volume-names.ts";

/** A status without what every status has. */
export type PartialDiskStatus = Omit<VirtualDiskStatus, "conditions" | "observedGeneration">;

/** A status, and the conditions that go with it. */
export interface DiskOutcome {
  readonly status: PartialDiskStatus;
  readonly conditions: readonly ConditionInput[];
}

/** The status of a disk that has none. */
export const EMPTY_DISK: VirtualDiskStatus = {
  phase: "Pending",
  conditions: [],
  observedGeneration: 0,
};

/** The outcome of the job that makes a disk, as it stands. */
export function judgeDiskJob(
  disk: VirtualDisk,
  job: JobState<VolumeProgress, FilledVolume>,
  { storageClassName, sourceUID }: { storageClassName: string; sourceUID: string | undefined },
): DiskOutcome {
  const common = {
    storageClassName,
    target: { persistentVolumeClaimName: volumeName(disk) },
    ...(sourceUID !== undefined && { sourceUID }),
  };
  if (job.state === "done") {
    const capacity = formatBytes(job.result.volume.sizeBytes);
    return {
      status: { phase: "Ready", capacity, progress: "100%", ...common },
      conditions: [condition("Ready", "True", "Ready")],
    };
  }
  if (job.state === "failed") {
    const { target: _, ...rest } = common;
    return {
      status: { phase: "Failed", ...rest },
      conditions: [condition("Ready", "False", "ProvisioningFailed", messageOf(job.error))],
    };
  }
  const { percent, problem, speed, stage = "only" } = job.progress ?? {};
  const { imageUploadURLs } = disk.status ?? {};
  const before = disk.status?.phase === "Provisioning" ? disk.status.progress : undefined;
  const progress = showProgress(before, STAGES[stage], percent);
  return {
    status: {
      phase: "Provisioning",
      ...common,
      ...(progress !== undefined && { progress }),
      ...(speed && { downloadSpeed: speed }),
      ...(imageUploadURLs && { imageUploadURLs }),
    },
    conditions: [
      condition("Ready", "False", "Provisioning", problem ?? "The disk is being filled."),
    ],
  };
}

/** The outcome for a disk of an upload that does not come in now. */
export function uploadOutcome(
  upload: Exclude<UploadState, { state: "coming" | "received" }>,
): DiskOutcome & { readonly requeueAfter?: number } {
  switch (upload.state) {
    case "waiting": {
      const message =
        "Waiting for the user upload: send the file with HTTP PUT to an address in status.imageUploadURLs.";
      return {
        status: { phase: "WaitForUserUpload", imageUploadURLs: upload.urls },
        conditions: [condition("Ready", "False", "WaitForUserUpload", message)],
        requeueAfter: upload.left,
      };
    }
    case "failed":
      return {
        status: { phase: "Failed" },
        conditions: [condition("Ready", "False", upload.reason, upload.message)],
      };
    case "unserved":
      return {
        status: { phase: "Pending" },
        conditions: [condition("Ready", "False", "ProvisioningNotStarted", upload.message)],
      };
  }
}
