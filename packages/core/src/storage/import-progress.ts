import { formatBytesRounded } from "../util/quantity.ts";

/** How fast an import is, as resources show it. */
export interface DownloadSpeed {
  readonly avg: string;
  readonly avgBytes: string;
  readonly current: string;
  readonly currentBytes: string;
}

/** The speed of an import that began at `since` and has received so many bytes. */
export function downloadSpeed(
  receivedBytes: number,
  bytesPerSecond: number,
  since: number,
  now: number,
): DownloadSpeed {
  const average = Math.round((receivedBytes * 1_000) / Math.max(now - since, 1));
  const current = Math.round(bytesPerSecond);
  return {
    avg: `${formatBytesRounded(average)}/s`,
    avgBytes: String(average),
    current: `${formatBytesRounded(current)}/s`,
    currentBytes: String(current),
  };
}

/** The part of the whole that a stage of an import is: from a first to a last percentage. */
export type ProgressStage = readonly [from: number, to: number];

/** An import into the image store alone; or into the image store first and then onto a volume, half each. */
export const STAGES: Readonly<Record<"only" | "store" | "volume", ProgressStage>> = {
  only: [0, 100],
  store: [0, 50],
  volume: [50, 100],
};

/**
 * The progress of an import as resources show it, such as `28.2%`. Never falls, also when an attempt begins anew.
 *
 * @param before What was shown last.
 * @param percent How far the stage has come; `undefined` while that is not known.
 */
export function showProgress(
  before: string | undefined,
  [from, to]: ProgressStage,
  percent: number | undefined,
): string | undefined {
  if (percent === undefined) return before;
  const whole = from + ((to - from) * Math.min(Math.max(percent, 0), 100)) / 100;
  return `${Math.max(whole, Number.parseFloat(before ?? "0")).toFixed(1)}%`;
}
