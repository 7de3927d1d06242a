const slots = 1024;
const maxInternedBytes = 48;

/**
 * A direct-mapped cache from short byte strings to JavaScript strings.
 *
 * Statistics repeat the same few dozen field names thousands of times; comparing bytes is
 * cheaper than decoding UTF-8 anew. The table never grows: a colliding name replaces the old one.
 */
export class StringTable {
  readonly #bytes: (Buffer | undefined)[] = Array.from({ length: slots });
  readonly #strings: string[] = Array.from({ length: slots }, () => "");

  /** The string of `source[start, end)`, decoded as UTF-8 at most once while it stays cached. */
  get(source: Buffer, start: number, end: number): string {
    if (end - start > maxInternedBytes) return source.toString("utf8", start, end);
    let hash = 0;
    for (let index = start; index < end; index++) hash = (hash * 31 + source[index]!) | 0;
    const slot = hash & (slots - 1);
    const known = this.#bytes[slot];
    if (known !== undefined && sameBytes(known, source, start, end)) return this.#strings[slot]!;
    const text = source.toString("utf8", start, end);
    this.#bytes[slot] = Buffer.from(source.subarray(start, end));
    this.#strings[slot] = text;
    return text;
  }
}

function sameBytes(known: Buffer, source: Buffer, start: number, end: number): boolean {
  const length = end - start;
  if (known.length !== length) return false;
  for (let index = 0; index < length; index++) {
    if (known[index] !== source[start + index]) return false;
  }
  return true;
}
