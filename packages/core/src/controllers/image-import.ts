import type {
  ImageImportProgress,
  ImageInfo,
  ImageSource,
  ImageStore,
} from "../backend/image-store.ts";
import { downloadSpeed, type DownloadSpeed } from "../storage/import-progress.ts";
import type { Clock } from "../util/clock.ts";
import { messageOf, PolyvisorError } from "../util/errors.ts";
import { throttled } from "../util/throttle.ts";
import { withRetries } from "./retry.ts";

/** How far an import has come, and what held it up. */
export interface ImportProgress {
  /** 0 to 100; absent while the size is not known. */
  readonly percent?: number;
  readonly speed?: DownloadSpeed;
  /** The last failure, while waiting to try again. */
  readonly problem?: string;
}

/** Each report is a write of a status, so there are at most four a second; in milliseconds. */
export const PROGRESS_INTERVAL = 250;

/** Takes an image in; what can be fetched again is tried again, what is sent is not. */
export function importImage(
  imageStore: ImageStore,
  name: string,
  source: ImageSource,
  options: {
    readonly clock: Clock;
    readonly signal: AbortSignal;
    readonly report: (progress: ImportProgress) => void;
  },
): Promise<ImageInfo> {
  const { signal, report, clock } = options;
  const since = clock.now();
  const onProgress = throttled<ImageImportProgress>(clock, PROGRESS_INTERVAL, (progress) => {
    const { receivedBytes, totalBytes, bytesPerSecond } = progress;
    report({
      ...(totalBytes && { percent: (100 * receivedBytes) / totalBytes }),
      speed: downloadSpeed(receivedBytes, bytesPerSecond, since, clock.now()),
    });
  });
  const fetch = async (): Promise<ImageInfo> => {
    try {
      return await imageStore.importImage(name, source, { signal, onProgress });
    } catch (error) {
      if (!isConflict(error)) throw error;
      // The name is this resource's alone: what is there was imported before its source was changed.
      await imageStore.delete(name, { signal });
      return imageStore.importImage(name, source, { signal, onProgress });
    }
  };
  if (source.type === "upload") return fetch();
  return withRetries(fetch, {
    clock,
    signal,
    onRetry: (error, pause) =>
      report({ problem: `${messageOf(error)} (trying again in ${pause / 1000} s)` }),
  });
}

function isConflict(error: unknown): boolean {
  return (
    typeof error === "object" && error !== null && Reflect.get(error, "code") === "IMAGE_CONFLICT"
  );
}

/** Why nothing can be imported. */
export function noImageStore(): PolyvisorError {
  return new PolyvisorError(
    "POLYVISOR_UNSUPPORTED",
    "the platform has no image store: give createPlatform() an imageStore",
  );
}
