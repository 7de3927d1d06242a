const FULL = 0xffffffff;

/**
 * Bits of which the next clear one is found by looking at a few words: above the bits there is a summary in which a bit
 * says that a word is full, and above it the next, up to one word.
 */
export class Bitmap {
  /** Level 0 has the bits; each level above has a bit for every full word of the one below. */
  readonly #levels: Uint32Array[] = [];

  /** @param size How many bits; all are clear. */
  constructor(size: number) {
    let bits = size;
    do {
      const words = Math.ceil(bits / 32);
      const level = new Uint32Array(words);
      // What lies past the end counts as set, so that a search never finds it.
      if (bits % 32 !== 0) level[words - 1] = (FULL << (bits % 32)) >>> 0;
      this.#levels.push(level);
      bits = words;
    } while (bits > 1);
  }

  /** The index of the first clear bit from `from` on; `undefined` when all of them are set. */
  nextClear(from: number): number | undefined {
    let index = from;
    for (let depth = 0; depth < this.#levels.length; depth += 1) {
      const word = this.#levels[depth]?.[index >>> 5] ?? FULL;
      const free = ~word & (FULL << (index & 31));
      if (free !== 0) return this.#descend(depth, (index >>> 5) * 32 + lowestBit(free));
      index = (index >>> 5) + 1;
    }
    return undefined;
  }

  /** The first clear bit below one of a level that says that there is one. */
  #descend(depth: number, position: number): number {
    let index = position;
    for (let level = depth - 1; level >= 0; level -= 1) {
      index = index * 32 + lowestBit(~(this.#levels[level]?.[index] ?? FULL));
    }
    return index;
  }

  set(index: number, value: boolean): void {
    let position = index;
    let bit = value;
    for (const level of this.#levels) {
      const word = position >>> 5;
      const mask = (1 << (position & 31)) >>> 0;
      const before = level[word] ?? 0;
      const after = (bit ? before | mask : before & ~mask) >>> 0;
      level[word] = after;
      bit = after === FULL;
      if (bit === (before === FULL)) return;
      position = word;
    }
  }
}

function lowestBit(word: number): number {
  return 31 - Math.clz32(word & -word);
}
