import type { HttpDataSource } from "../api/data-source.ts";
import type { ImageInfo, ImageStore } from "../backend/image-store.ts";
import type { Clock } from "../util/clock.ts";
import { messageOf } from "../util/errors.ts";
import { withRetries } from "./retry.ts";

/** How far an import has come, and what held it up. */
export interface ImportProgress {
  /** 0 to 100; absent while the size is not known. */
  readonly percent?: number;
  readonly bytesPerSecond?: number;
  /** The last failure, while waiting to try again. */
  readonly problem?: string;
}

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
  const wanted = {
    url,
    ...(checksum && { checksum }),
    ...(caBundle !== undefined && { caBundle: Buffer.from(caBundle, "base64").toString() }),
  };
  let reported = -1;
  return withRetries(
    () =>
      imageStore.importImage(name, wanted, {
        signal,
        onProgress: ({ receivedBytes, totalBytes, bytesPerSecond }) => {
          // The status is written for every report, so a step of a tenth of a per cent is the finest.
          const step = totalBytes ? Math.floor((1000 * receivedBytes) / totalBytes) : 0;
          if (step === reported) return;
          reported = step;
          report({ ...(totalBytes && { percent: step / 10 }), bytesPerSecond });
        },
      }),
    {
      clock,
      signal,
      onRetry: (error, pause) =>
        report({ problem: `${messageOf(error)} (trying again in ${pause / 1000} s)` }),
    },
  );
}

/** `28.2%`. */
export function formatPercent(percent: number): string {
  return `${percent.toFixed(1)}%`;
}
