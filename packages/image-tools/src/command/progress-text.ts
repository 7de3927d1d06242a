import type { ConversionProgress } from "../convert/conversion-progress.ts";
import { formatBytes, formatSeconds } from "./format-quantity.ts";

/** What is said beside the bar about how far a conversion has come. */
export function progressText(progress: ConversionProgress): string {
  const { phase, bytesIn, bytesOut, bytesPerSecond, fraction, secondsLeft } = progress;
  if (phase === "storing") return "waiting for the disk";
  if (phase === "checking") return "checking the result";
  const parts = [
    ...(fraction === undefined ? [] : [`${Math.floor(fraction * 100)} %`]),
    `${formatBytes(bytesIn)} read`,
    `${formatBytes(bytesOut)} written`,
    `${formatBytes(bytesPerSecond)}/s`,
    ...(secondsLeft === undefined ? [] : [`${formatSeconds(secondsLeft)} left`]),
  ];
  return parts.join(", ");
}
