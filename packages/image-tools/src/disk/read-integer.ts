/** A 64-bit number, or infinity where it would have been rounded. */
export function readSafe64LE(bytes: Buffer, at: number): number {
  return combine(bytes.readUInt32LE(at + 4), bytes.readUInt32LE(at));
}

/** A 64-bit number, or infinity where it would have been rounded. */
export function readSafe64BE(bytes: Buffer, at: number): number {
  return combine(bytes.readUInt32BE(at), bytes.readUInt32BE(at + 4));
}

/** Whether `value` is a power of two between `least` and `most`. */
export function isPowerOfTwo(value: number, least: number, most: number): boolean {
  return value >= least && value <= most && Number.isInteger(Math.log2(value));
}

function combine(high: number, low: number): number {
  return high >= 2 ** 21 ? Number.POSITIVE_INFINITY : high * 2 ** 32 + low;
}
