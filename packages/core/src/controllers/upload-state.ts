import { type Condition, findCondition } from "../api/conditions.ts";
import type { UploadURLs } from "../api/virtual-disk.ts";
import type { ImageStore, UploadImageSource } from "../backend/image-store.ts";
import { judgeUpload, uploadTokenOf } from "../storage/upload-window.ts";
import type { Clock } from "../util/clock.ts";
import type { JobState } from "./runtime/jobs.ts";
import type { Uploads } from "./uploads.ts";

/** How an upload stands. */
export type UploadState =
  /** It comes in now: it is to be imported. */
  | { readonly state: "coming"; readonly source: UploadImageSource; readonly token: string }
  /** It was imported; what comes after that was not done. */
  | { readonly state: "received"; readonly token: string }
  | { readonly state: "waiting"; readonly urls: UploadURLs; readonly left: number }
  | { readonly state: "failed"; readonly reason: string; readonly message: string }
  | { readonly state: "unserved"; readonly message: string };

/** The status of an image or a disk, as far as uploads go. */
interface UploadStatus {
  readonly phase: string;
  readonly imageUploadURLs?: UploadURLs;
  readonly conditions: readonly Condition[];
  readonly observedGeneration: number;
}

/** Says how the upload of an image or a disk stands; gives out an address where there is none yet. */
export async function findUpload(
  owner: {
    readonly kind: string;
    readonly generation: number;
    readonly status: UploadStatus | undefined;
    /** The name under which the image store keeps what comes in. */
    readonly imageName: string;
    /** Called when something comes in. */
    readonly notify: () => void;
  },
  parts: { readonly uploads: Uploads; readonly imageStore: ImageStore; readonly clock: Clock },
): Promise<UploadState> {
  const { kind, generation, status, imageName, notify } = owner;
  const { uploads, imageStore, clock } = parts;
  const isCurrent = status?.observedGeneration === generation;
  const urls = isCurrent ? status.imageUploadURLs : undefined;
  const token = uploadTokenOf(urls?.external);
  if (urls === undefined || token === undefined) {
    if (isCurrent && status.phase === "Failed") {
      const { reason = "ProvisioningFailed", message = RECREATE(kind) } =
        findCondition(status.conditions, "Ready") ?? {};
      return { state: "failed", reason, message };
    }
    const made = uploads.makeURLs();
    if (made === undefined) return { state: "unserved", message: UNSERVED };
    // What was imported under this name came from elsewhere.
    await imageStore.delete(imageName);
    const left = judgeUpload(uploadTokenOf(made.external) ?? "", clock.now(), kind);
    return { state: "waiting", urls: made, left: left.state === "open" ? left.left : 0 };
  }
  const source = uploads.pending(token);
  if (source) return { state: "coming", source, token };
  const begun = status?.phase === "Provisioning";
  if (begun && (await imageStore.inspect(imageName)) !== undefined) {
    return { state: "received", token };
  }
  const judged = judgeUpload(token, clock.now(), kind);
  if (judged.state === "expired") {
    uploads.settle({ token });
    const message = begun ? `The upload was interrupted. ${RECREATE(kind)}` : judged.message;
    const reason = begun ? "ProvisioningFailed" : "WaitForUserUploadTimeout";
    return { state: "failed", reason, message };
  }
  uploads.open(token, notify);
  return { state: "waiting", urls, left: judged.left };
}

/** An upload that was imported, or could not be. */
export interface EndedUpload {
  readonly token: string;
  readonly error?: unknown;
}

/** The upload of a job that has ended. Who has sent it is told when the status says so as well. */
export function endedUpload(
  token: string,
  job: JobState<unknown, unknown>,
): EndedUpload | undefined {
  if (job.state === "running") return undefined;
  return job.state === "failed" ? { token, error: job.error } : { token };
}

const UNSERVED =
  "The platform takes no uploads: give createPlatform() uploads, the address under which they are served.";

const RECREATE = (kind: string): string => `Recreate the ${kind} to get another upload address.`;
