import type { ConversionProgress } from "../convert/conversion-progress.ts";
import { formatBytes, formatSeconds } from "./format-quantity.ts";

const BAR_WIDTH = 30;

/** One line of text for a terminal that says how far a conversion has come. */
export function progressLine(progress: ConversionProgress): string {
  const { phase, bytesIn, bytesPerSecond, fraction, secondsLeft } = progress;
  if (phase === "storing") return "waiting for the disk";
  if (phase === "checking") return "checking the result";
  const rate = `${formatBytes(bytesIn)} read, ${formatBytes(bytesPerSecond)}/s`;
  if (fraction === undefined) return rate;
  const filled = Math.round(fraction * BAR_WIDTH);
  const bar = "█".repeat(filled) + "░".repeat(BAR_WIDTH - filled);
  const percent = `${Math.floor(fraction * 100)} %`.padStart(5);
  const left = secondsLeft === undefined ? "" : `, ${formatSeconds(secondsLeft)} left`;
  return `${bar} ${percent}  ${rate}${left}`;
}
