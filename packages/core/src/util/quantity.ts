import { PolyvisorError } from "./errors.ts";

/**
 * A Kubernetes quantity as text.
 *
 * Source: the pattern of the DVP custom resource definitions, `spec.memory.size`.
 */
const QUANTITY_PATTERN: RegExp =
  /^(\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))(([KMGTPE]i)|[numkMGTPE]|([eE](\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))))?$/;

const FACTORS: Readonly<Record<string, number>> = {
  n: 1e-9,
  u: 1e-6,
  m: 1e-3,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  P: 1e15,
  E: 1e18,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
  Pi: 2 ** 50,
  Ei: 2 ** 60,
};

/**
 * The value of a Kubernetes quantity such as `10Gi`, `50G`, `1e3` or a plain number.
 *
 * @throws `POLYVISOR_INVALID` when `text` is no quantity.
 */
export function parseQuantity(text: string | number): number {
  if (typeof text === "number") return text;
  if (isQuantity(text)) return valueOf(text);
  throw new PolyvisorError(
    "POLYVISOR_INVALID",
    `${JSON.stringify(text)} is not a quantity: write a number with an optional unit, such as 10Gi`,
  );
}

/** True for a quantity with a value. The pattern alone also takes exponents that have a fraction or are too large. */
export function isQuantity(text: string): boolean {
  return QUANTITY_PATTERN.test(text) && Number.isFinite(valueOf(text));
}

function valueOf(text: string): number {
  const unit = /[KMGTPE]i$|[numkMGTPE]$/.exec(text)?.[0];
  const factor = unit === undefined ? 1 : (FACTORS[unit] ?? 1);
  return Number(unit === undefined ? text : text.slice(0, -unit.length)) * factor;
}

const BINARY_UNITS = ["Ei", "Pi", "Ti", "Gi", "Mi", "Ki"] as const;

/** Bytes as the shortest quantity that is exact: `1Gi`, `300Mi`, `1079296`. */
export function formatBytes(bytes: number): string {
  const unit = BINARY_UNITS.find(
    (candidate) => bytes > 0 && bytes % (FACTORS[candidate] ?? 1) === 0,
  );
  return unit === undefined ? String(bytes) : `${bytes / (FACTORS[unit] ?? 1)}${unit}`;
}

/** Bytes for a person, with one decimal: `512.0 MiB`. */
export function formatBytesApproximately(bytes: number): string {
  const unit = BINARY_UNITS.find((candidate) => bytes >= (FACTORS[candidate] ?? 1));
  return unit === undefined
    ? `${bytes} B`
    : `${(bytes / (FACTORS[unit] ?? 1)).toFixed(1)} ${unit}B`;
}

/** Bytes as a quantity with one decimal, as tables show it: `285.9Mi`, `2.5Gi`, `10Gi`. */
export function formatBytesRounded(bytes: number): string {
  const unit = BINARY_UNITS.find((candidate) => bytes >= (FACTORS[candidate] ?? 1));
  if (unit === undefined) return String(Math.round(bytes));
  return `${(bytes / (FACTORS[unit] ?? 1)).toFixed(1).replace(/\.0$/, "")}${unit}`;
}
