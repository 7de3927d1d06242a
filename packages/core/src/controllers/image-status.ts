import type { ConditionInput } from "../api/conditions.ts";
import type { AnyVirtualImage, ImageStatus } from "../api/virtual-image.ts";
import type { ImageInfo } from "../backend/image-store.ts";
import type { VolumeState } from "../backend/storage.ts";
import { condition } from "../machine/machine-conditions.ts";
import { showProgress, STAGES } from "../storage/import-progress.ts";
import { messageOf } from "../util/errors.ts";
import { formatBytesRounded } from "../util/quantity.ts";
import type { JobState } from "./runtime/jobs.ts";
import type { VolumeProgress } from "./volume-filler.ts";
import { imageStoreName } from "./volume-names.ts";

/** A status without what every status has. */
export type PartialImageStatus = Omit<ImageStatus, "conditions" | "observedGeneration">;

/** A status, and the condition `Ready` that goes with it. */
export interface ImageOutcome {
  readonly status: PartialImageStatus;
  readonly ready: ConditionInput;
}

/** An image that was made. */
export interface MadeImage {
  readonly info: Pick<ImageInfo, "format" | "cdrom" | "virtualSizeBytes" | "storedBytes">;
  /** Of an image on a volume. */
  readonly volume?: VolumeState;
}

/** The field that a failure is about, for its message. */
const SOURCE_FIELDS = {
  HTTP: "spec.dataSource.http",
  ContainerImage: "spec.dataSource.containerImage",
  ObjectRef: "spec.dataSource.objectRef",
  Upload: "spec.dataSource.upload",
} as const;

/** The outcome of the job that makes an image, as it stands. */
export function judgeImageJob(
  image: AnyVirtualImage,
  job: JobState<VolumeProgress, MadeImage>,
  sourceUID: string | undefined,
): ImageOutcome {
  const source = sourceUID === undefined ? {} : { sourceUID };
  if (job.state === "done") return readyImage(image, job.result, source);
  if (job.state === "failed") {
    const field = SOURCE_FIELDS[image.spec.dataSource.type];
    const message = messageOf(job.error);
    return {
      status: { phase: "Failed", ...source },
      ready: condition(
        "Ready",
        "False",
        "ProvisioningFailed",
        message.startsWith("spec.") ? message : `${field}: ${message}`,
      ),
    };
  }
  const { percent, speed, problem, stage = "only" } = job.progress ?? {};
  const before = image.status?.phase === "Provisioning" ? image.status.progress : undefined;
  const progress = showProgress(before, STAGES[stage], percent);
  const { imageUploadURLs } = image.status ?? {};
  return {
    status: {
      phase: "Provisioning",
      ...source,
      ...(progress !== undefined && { progress }),
      ...(speed && { downloadSpeed: speed }),
      ...(imageUploadURLs && { imageUploadURLs }),
    },
    ready: condition("Ready", "False", "Provisioning", problem ?? "The image is being imported."),
  };
}

function readyImage(
  image: AnyVirtualImage,
  { info, volume }: MadeImage,
  source: { readonly sourceUID?: string },
): ImageOutcome {
  const { storedBytes, virtualSizeBytes, format, cdrom } = info;
  const { downloadSpeed } = image.status ?? {};
  return {
    status: {
      phase: "Ready",
      ...source,
      progress: "100%",
      ...(downloadSpeed && { downloadSpeed }),
      format,
      cdrom,
      size: {
        stored: formatBytesRounded(storedBytes),
        storedBytes: String(storedBytes),
        unpacked: formatBytesRounded(virtualSizeBytes),
        unpackedBytes: String(virtualSizeBytes),
      },
      ...(volume
        ? {
            storageClassName: volume.storageClass,
            target: { persistentVolumeClaimName: volume.name },
          }
        : { target: { registryURL: registryURL(image) } }),
    },
    ready: condition("Ready", "True", "Ready"),
  };
}

/** Where the image is kept, as a name: `cvi/ubuntu:<uid>`, `vi/default/ubuntu:<uid>`. */
function registryURL({ kind, metadata }: AnyVirtualImage): string {
  const { name, namespace, uid } = metadata;
  return kind === "VirtualImage" ? `vi/${namespace}/${name}:${uid}` : `cvi/${name}:${uid}`;
}

/** The status of an image that has none. */
export const EMPTY_IMAGE: ImageStatus = { phase: "Pending", conditions: [], observedGeneration: 0 };

/** Whether the content of an image is where it was put. */
export function judgePresence(image: AnyVirtualImage, isPresent: boolean): ImageOutcome {
  const { conditions: _, observedGeneration: __, ...rest } = image.status ?? EMPTY_IMAGE;
  const isVolume = rest.target?.persistentVolumeClaimName !== undefined;
  if (isPresent) {
    return { status: { ...rest, phase: "Ready" }, ready: condition("Ready", "True", "Ready") };
  }
  const reason = isVolume ? "PVCLost" : "ImageLost";
  const where = isVolume
    ? `The volume "${rest.target?.persistentVolumeClaimName}" of the image is gone from its storage`
    : `The content "${imageStoreName(image)}" is gone from the image store`;
  return {
    status: { ...rest, phase: reason },
    ready: condition(
      "Ready",
      "False",
      reason,
      `${where}: bring it back, or delete the ${image.kind} and create it anew.`,
    ),
  };
}
