/** Zero runs are looked for in whole blocks of this many bytes, aligned to the disk's start. */
const ZERO_GRANULE_BYTES = 64 * 1024;

const zeros = Buffer.alloc(ZERO_GRANULE_BYTES);

/** Whether every byte is zero. */
export function isZero(bytes: Uint8Array): boolean {
  for (let start = 0; start < bytes.length; start += ZERO_GRANULE_BYTES) {
    const end = Math.min(start + ZERO_GRANULE_BYTES, bytes.length);
    if (zeros.compare(bytes, start, end, 0, end - start) !== 0) return false;
  }
  return true;
}

/** A stretch of a buffer that is either wholly zero granules or holds none. */
export interface ZeroRun {
  readonly start: number;
  readonly end: number;
  readonly zero: boolean;
}

/** Splits `bytes`, which lie at `offset` of the disk, into runs of zero and other granules. */
export function* zeroRuns(bytes: Uint8Array, offset: number): Generator<ZeroRun> {
  let start = 0;
  let zero: boolean | undefined;
  let position = 0;
  while (position < bytes.length) {
    const next = Math.min(
      position + ZERO_GRANULE_BYTES - ((offset + position) % ZERO_GRANULE_BYTES),
      bytes.length,
    );
    const granuleIsZero = isZero(bytes.subarray(position, next));
    if (zero !== undefined && zero !== granuleIsZero) {
      yield { start, end: position, zero };
      start = position;
    }
    zero = granuleIsZero;
    position = next;
  }
  if (zero !== undefined) yield { start, end: bytes.length, zero };
}
