import { PolyvisorError } from "@polyvisor/core";

/** A length of time, such as `500ms`, `5s`, `10m`, `2h` or `1d`. */
export type Duration = `${number}${"ms" | "s" | "m" | "h" | "d"}`;

const MILLISECONDS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

/**
 * Milliseconds of a duration.
 *
 * @throws `POLYVISOR_INVALID` that names `field`.
 */
export function readDuration(value: unknown, field: string): number {
  const [, digits, unit] =
    (typeof value === "string" && /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/.exec(value)) || [];
  const factor = MILLISECONDS[unit ?? ""];
  if (factor !== undefined) return Math.round(Number(digits) * factor);
  throw new PolyvisorError(
    "POLYVISOR_INVALID",
    `${field}: ${JSON.stringify(value)} is no duration: write a number and a unit, such as "500ms", "5s", "10m", "2h" or "1d"`,
  );
}
