import type { HttpDataSource } from "../api/data-source.ts";
import type {
  HttpImageSource,
  ImageImportProgress,
  ImageInfo,
  ImageStore,
} from "../backend/image-store.ts";
import type { Clock } from "../util/clock.ts";
import { messageOf } from "../util/errors.ts";
import { throttled } from "../util/throttle.ts";
import { withRetries } from "./retry.ts";

/** How far an import has come, and what held it up. */
export interface ImportProgress {
  /** 0 to 100; absent while the size is not known. */
  readonly percent?: number;
  readonly bytesPerSecond?: number;
  /** The last failure, while waiting to try again. */
  readonly problem?: string;
}

/** Each report is a write of a status, so there are at most four a second; in milliseconds. */
export const PROGRESS_INTERVAL = 250;

/** Takes an image in over HTTP, with retries. */
export function importHttpImage(
  imageStore: ImageStore,
  name: string,
  source: HttpDataSource,
  options: {
    readonly clock: Clock;
    readonly signal: AbortSignal;
    readonly report: (progress: ImportProgress) => void;
  },
): Promise<ImageInfo> {
  const { signal, report, clock } = options;
  const { url, checksum, caBundle } = source;
  const wanted: HttpImageSource = {
    type: "http",
    url,
    ...(checksum && { checksum }),
    ...(caBundle !== undefined && { caBundle: Buffer.from(caBundle, "base64").toString() }),
  };
  const onProgress = throttled<ImageImportProgress>(clock, PROGRESS_INTERVAL, (progress) => {
    const { receivedBytes, totalBytes, bytesPerSecond } = progress;
    report({ ...(totalBytes && { percent: (100 * receivedBytes) / totalBytes }), bytesPerSecond });
  });
  const fetch = async (): Promise<ImageInfo> => {
    try {
      return await imageStore.importImage(name, wanted, { signal, onProgress });
    } catch (error) {
      if (!isConflict(error)) throw error;
      // The name is this resource's alone: what is there was imported before its source was changed.
      await imageStore.delete(name, { signal });
      return imageStore.importImage(name, wanted, { signal, onProgress });
    }
  };
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

/** `28.2%`. */
export function formatPercent(percent: number): string {
  return `${percent.toFixed(1)}%`;
}
