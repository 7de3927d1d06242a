import { type AddressRange, formatAddress, parseAddress } from "../util/address-range.ts";

/**
 * Which addresses of the configured ranges are taken. Gives out the lowest free one, in the order of the ranges.
 *
 * One bit an address, with a summary above it in which a bit says that a word is full, so that the first free address
 * of a /8 is found by looking at a few words.
 */
export class AddressPool {
  readonly #ranges: readonly RangeBitmap[];

  constructor(ranges: readonly AddressRange[]) {
    this.#ranges = ranges.map((range) => new RangeBitmap(range));
  }

  /** The lowest free address, marked as taken; `undefined` when none is left. */
  allocate(): string | undefined {
    for (const range of this.#ranges) {
      const address = range.firstFree();
      if (address === undefined) continue;
      range.set(address, true);
      return formatAddress(address);
    }
    return undefined;
  }

  /** Marks an address as taken; one outside of all ranges is ignored. */
  take(address: string): void {
    this.#mark(address, true);
  }

  /** Gives an address back; one outside of all ranges is ignored. */
  release(address: string): void {
    this.#mark(address, false);
  }

  #mark(address: string, taken: boolean): void {
    const value = parseAddress(address);
    if (value === undefined) return;
    this.#ranges.find((range) => range.holds(value))?.set(value, taken);
  }
}

const FULL = 0xffffffff;

class RangeBitmap {
  readonly #range: AddressRange;
  /** Level 0 has a bit an address; each level above has a bit for every full word of the one below. */
  readonly #levels: Uint32Array[] = [];

  constructor(range: AddressRange) {
    this.#range = range;
    let size = range.last - range.first + 1;
    do {
      const words = Math.ceil(size / 32);
      const level = new Uint32Array(words);
      // What lies past the end counts as taken, so that a search never finds it.
      if (size % 32 !== 0) level[words - 1] = (FULL << (size % 32)) >>> 0;
      this.#levels.push(level);
      size = words;
    } while (size > 1);
    for (const reserved of [range.first, range.first + 1, range.last]) this.set(reserved, true);
  }

  holds(address: number): boolean {
    return this.#range.first <= address && address <= this.#range.last;
  }

  firstFree(): number | undefined {
    let index = 0;
    for (let depth = this.#levels.length - 1; depth >= 0; depth -= 1) {
      const word = this.#levels[depth]?.[index] ?? FULL;
      if (word === FULL) return undefined;
      // The lowest bit that is not set: ~word & -~word has just that one.
      const free = ~word;
      index = index * 32 + (31 - Math.clz32(free & -free));
    }
    return this.#range.first + index;
  }

  set(address: number, taken: boolean): void {
    let index = address - this.#range.first;
    let bit = taken;
    for (const level of this.#levels) {
      const position = index >>> 5;
      const mask = (1 << (index & 31)) >>> 0;
      const before = level[position] ?? 0;
      const after = (bit ? before | mask : before & ~mask) >>> 0;
      level[position] = after;
      bit = after === FULL;
      if (bit === (before === FULL)) return;
      index = position;
    }
  }
}
