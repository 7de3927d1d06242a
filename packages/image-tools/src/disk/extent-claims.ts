import type { FormatErrors } from "./disk-opener.ts";
import { SharedUses } from "./shared-uses.ts";

const FIRST_CAPACITY = 1024;
const MAX_CLAIMS = 16 * 1024 * 1024;

/** Starts of equally long pieces of a file, in units of a sector or block. */
class Claims {
  readonly length: number;
  #starts = new Uint32Array(FIRST_CAPACITY);
  #count = 0;

  constructor(length: number) {
    this.length = length;
  }

  /** Returns whether there was room. */
  add(start: number): boolean {
    if (this.#count === MAX_CLAIMS) return false;
    if (this.#count === this.#starts.length) {
      const grown = new Uint32Array(this.#starts.length * 2);
      grown.set(this.#starts);
      this.#starts = grown;
    }
    this.#starts[this.#count] = start;
    this.#count += 1;
    return true;
  }

  sorted(): Uint32Array {
    return this.#starts.subarray(0, this.#count).sort();
  }
}

/**
 * Remembers what the pieces of an image file are used for, and finds those that are used twice.
 * All numbers are in units of the format, such as sectors.
 */
export class ExtentClaims {
  readonly #errors: FormatErrors;
  readonly #fixed: { readonly start: number; readonly end: number }[] = [];
  readonly #tables: Claims;
  readonly #blocks: Claims;

  constructor(errors: FormatErrors, tableUnits: number, blockUnits: number) {
    this.#errors = errors;
    this.#tables = new Claims(tableUnits);
    this.#blocks = new Claims(blockUnits);
  }

  /** Claims a header or another structure of which there are few. */
  claimFixed(start: number, length: number): void {
    this.#fixed.push({ start, end: start + length });
  }

  claimTable(start: number): void {
    if (!this.#tables.add(start)) throw this.#errors.tooLarge("it has too many tables");
  }

  claimBlock(start: number): void {
    if (!this.#blocks.add(start)) throw this.#errors.tooLarge("it has too many blocks");
  }

  /**
   * @throws ImageError `IMAGE_UNSAFE` when the disk would contain a piece of the file twice,
   * `IMAGE_TOO_LARGE` many pieces, `IMAGE_CORRUPT` when a structure overlaps anything else.
   */
  refuseOverlaps(): void {
    const tables = this.#tables.sorted();
    const blocks = this.#blocks.sorted();
    const shared = new SharedUses(this.#errors);
    for (const start of overlapping(blocks, this.#blocks.length)) {
      shared.note(`the data at unit ${start}`);
    }
    for (const start of overlapping(tables, this.#tables.length)) {
      shared.note(`the table at unit ${start}`);
    }
    shared.refuse();
    const isCorrupt =
      overlaps(tables, this.#tables.length, blocks, this.#blocks.length) ||
      this.#fixed.some(
        ({ start, end }) =>
          isHit(tables, this.#tables.length, start, end) ||
          isHit(blocks, this.#blocks.length, start, end),
      );
    if (isCorrupt) throw this.#errors.corrupt("its tables overlap each other or the data");
  }
}

function* overlapping(starts: Uint32Array, length: number): Generator<number> {
  for (let index = 1; index < starts.length; index += 1) {
    const previous = starts[index - 1] as number;
    if ((starts[index] as number) - previous < length) yield previous;
  }
}

function overlaps(
  left: Uint32Array,
  leftLength: number,
  right: Uint32Array,
  rightLength: number,
): boolean {
  let at = 0;
  for (const start of left) {
    while (at < right.length && (right[at] as number) + rightLength <= start) at += 1;
    if (at < right.length && (right[at] as number) < start + leftLength) return true;
  }
  return false;
}

function isHit(starts: Uint32Array, length: number, start: number, end: number): boolean {
  return starts.some((other) => other < end && other + length > start);
}
