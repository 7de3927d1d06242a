import { ImageError } from "../image-error.ts";

// Where the probabilities of each kind of bit begin.
const IS_MATCH = 0;
const IS_REP = IS_MATCH + 12 * 16;
const IS_REP0 = IS_REP + 12;
const IS_REP1 = IS_REP0 + 12;
const IS_REP2 = IS_REP1 + 12;
const IS_REP0_LONG = IS_REP2 + 12;
const DISTANCE_SLOT = IS_REP0_LONG + 12 * 16;
const DISTANCE_SPECIAL = DISTANCE_SLOT + 4 * 64;
const DISTANCE_ALIGN = DISTANCE_SPECIAL + 128;
const MATCH_LENGTH = DISTANCE_ALIGN + 16;
const LENGTH_PROBABILITIES = 2 + 16 * 8 + 16 * 8 + 256;
const REP_LENGTH = MATCH_LENGTH + LENGTH_PROBABILITIES;
const LITERAL = REP_LENGTH + LENGTH_PROBABILITIES;
const LITERAL_PROBABILITIES = 0x300;
const PROBABILITIES = LITERAL + LITERAL_PROBABILITIES * 16;
const EVEN_CHANCE = 1024;
const MAX_PROPERTIES = 224;
const MAX_LITERAL_BITS = 4;

/** How far beyond the end of its input the decoder may look, though it never uses what is there. */
export const LZMA_SLACK_BYTES = 32;

/** The last part of what was decoded, which further data refers to. */
export interface LzmaWindow {
  readonly bytes: Uint8Array;
  /** Where decoding goes on. */
  position: number;
  /** Where what may be referred to begins. */
  first: number;
  /** `position + phase` is the number of decoded bytes, modulo 16. */
  phase: number;
  /** How far back references may go. */
  readonly dictionaryBytes: number;
}

/**
 * Decodes LZMA, as LZMA2 cuts it into chunks.
 *
 * @see LZMA specification (draft, 2013), the reference of the format
 */
export class LzmaDecoder {
  readonly #probabilities = new Uint16Array(PROBABILITIES);
  #literalBits = 0;
  #literalMask = 0;
  #positionMask = 0;
  #state = 0;
  #rep0 = 0;
  #rep1 = 0;
  #rep2 = 0;
  #rep3 = 0;

  /** Takes over the properties of the stream. @throws ImageError `IMAGE_CORRUPT`. */
  setProperties(properties: number): void {
    const literalBits = properties % 9;
    const literalPositionBits = Math.floor(properties / 9) % 5;
    const isValid =
      properties <= MAX_PROPERTIES && literalBits + literalPositionBits <= MAX_LITERAL_BITS;
    if (!isValid) throw corrupt();
    this.#literalBits = literalBits;
    this.#literalMask = 2 ** literalPositionBits - 1;
    this.#positionMask = 2 ** Math.floor(properties / 45) - 1;
  }

  /** Forgets what was learnt. */
  reset(): void {
    this.#state = 0;
    this.#rep0 = 0;
    this.#rep1 = 0;
    this.#rep2 = 0;
    this.#rep3 = 0;
    this.#probabilities.fill(EVEN_CHANCE);
  }

  /**
   * Decodes one chunk, `source` from `start` to `end`, into `length` bytes of the window, which has
   * room for them. {@link LZMA_SLACK_BYTES} more bytes of `source` can be read.
   *
   * @throws ImageError `IMAGE_CORRUPT`.
   */
  decode(source: Uint8Array, start: number, end: number, window: LzmaWindow, length: number): void {
    const probs = this.#probabilities;
    const literalBits = this.#literalBits;
    const literalMask = this.#literalMask;
    const positionMask = this.#positionMask;
    const { bytes: out, first, phase, dictionaryBytes } = window;
    const outEnd = window.position + length;
    let { position } = window;
    let state = this.#state;
    let rep0 = this.#rep0;
    let rep1 = this.#rep1;
    let rep2 = this.#rep2;
    let rep3 = this.#rep3;
    let at = start + 5;
    if (at > end || source[start] !== 0) throw corrupt();
    let range = -1;
    let code =
      ((source[start + 1] as number) << 24) |
      ((source[start + 2] as number) << 16) |
      ((source[start + 3] as number) << 8) |
      (source[start + 4] as number);
    let chance = 0;
    let bound = 0;
    let index = 0;
    // The decoding of a bit is written out wherever there is one: calling a function for each would
    // take more than half as long again. `range` and `code` are unsigned numbers of 32 bits that are
    // kept as signed ones, which is what the compiler of V8 is best at.
    while (position < outEnd) {
      if (at > end) throw corrupt();
      const positionState = (position + phase) & positionMask;
      index = IS_MATCH + (state << 4) + positionState;
      chance = probs[index] as number;
      if (range >>> 24 === 0) {
        range <<= 8;
        code = (code << 8) | (source[at++] as number);
      }
      bound = Math.imul(range >>> 11, chance);
      if (code >>> 0 < bound >>> 0) {
        range = bound;
        probs[index] = chance + ((2048 - chance) >> 5);
        const previous = position > first ? (out[position - 1] as number) : 0;
        const base =
          LITERAL +
          LITERAL_PROBABILITIES *
            ((((position + phase) & literalMask) << literalBits) + (previous >> (8 - literalBits)));
        let symbol = 1;
        if (state >= 7) {
          let matchByte = (out[position - rep0 - 1] as number) << 1;
          let offset = 0x100;
          do {
            const matchBit = matchByte & offset;
            matchByte <<= 1;
            index = base + offset + matchBit + symbol;
            chance = probs[index] as number;
            if (range >>> 24 === 0) {
              range <<= 8;
              code = (code << 8) | (source[at++] as number);
            }
            bound = Math.imul(range >>> 11, chance);
            if (code >>> 0 < bound >>> 0) {
              range = bound;
              probs[index] = chance + ((2048 - chance) >> 5);
              symbol <<= 1;
              offset &= ~matchBit;
            } else {
              range = (range - bound) | 0;
              code = (code - bound) | 0;
              probs[index] = chance - (chance >> 5);
              symbol = (symbol << 1) | 1;
              offset &= matchBit;
            }
          } while (symbol < 0x100);
        } else {
          do {
            index = base + symbol;
            chance = probs[index] as number;
            if (range >>> 24 === 0) {
              range <<= 8;
              code = (code << 8) | (source[at++] as number);
            }
            bound = Math.imul(range >>> 11, chance);
            if (code >>> 0 < bound >>> 0) {
              range = bound;
              probs[index] = chance + ((2048 - chance) >> 5);
              symbol <<= 1;
            } else {
              range = (range - bound) | 0;
              code = (code - bound) | 0;
              probs[index] = chance - (chance >> 5);
              symbol = (symbol << 1) | 1;
            }
          } while (symbol < 0x100);
        }
        out[position++] = symbol;
        state = state < 4 ? 0 : state < 10 ? state - 3 : state - 6;
        continue;
      }
      range = (range - bound) | 0;
      code = (code - bound) | 0;
      probs[index] = chance - (chance >> 5);
      let lengthBase = MATCH_LENGTH;
      index = IS_REP + state;
      chance = probs[index] as number;
      if (range >>> 24 === 0) {
        range <<= 8;
        code = (code << 8) | (source[at++] as number);
      }
      bound = Math.imul(range >>> 11, chance);
      let isMatch = false;
      if (code >>> 0 < bound >>> 0) {
        range = bound;
        probs[index] = chance + ((2048 - chance) >> 5);
        rep3 = rep2;
        rep2 = rep1;
        rep1 = rep0;
        state = state < 7 ? 7 : 10;
        isMatch = true;
      } else {
        range = (range - bound) | 0;
        code = (code - bound) | 0;
        probs[index] = chance - (chance >> 5);
        lengthBase = REP_LENGTH;
        index = IS_REP0 + state;
        chance = probs[index] as number;
        if (range >>> 24 === 0) {
          range <<= 8;
          code = (code << 8) | (source[at++] as number);
        }
        bound = Math.imul(range >>> 11, chance);
        if (code >>> 0 < bound >>> 0) {
          range = bound;
          probs[index] = chance + ((2048 - chance) >> 5);
          index = IS_REP0_LONG + (state << 4) + positionState;
          chance = probs[index] as number;
          if (range >>> 24 === 0) {
            range <<= 8;
            code = (code << 8) | (source[at++] as number);
          }
          bound = Math.imul(range >>> 11, chance);
          if (code >>> 0 < bound >>> 0) {
            range = bound;
            probs[index] = chance + ((2048 - chance) >> 5);
            if (rep0 >= position - first || rep0 >= dictionaryBytes) throw corrupt();
            out[position] = out[position - rep0 - 1] as number;
            position++;
            state = state < 7 ? 9 : 11;
            continue;
          }
          range = (range - bound) | 0;
          code = (code - bound) | 0;
          probs[index] = chance - (chance >> 5);
        } else {
          range = (range - bound) | 0;
          code = (code - bound) | 0;
          probs[index] = chance - (chance >> 5);
          let distance = 0;
          index = IS_REP1 + state;
          chance = probs[index] as number;
          if (range >>> 24 === 0) {
            range <<= 8;
            code = (code << 8) | (source[at++] as number);
          }
          bound = Math.imul(range >>> 11, chance);
          if (code >>> 0 < bound >>> 0) {
            range = bound;
            probs[index] = chance + ((2048 - chance) >> 5);
            distance = rep1;
          } else {
            range = (range - bound) | 0;
            code = (code - bound) | 0;
            probs[index] = chance - (chance >> 5);
            index = IS_REP2 + state;
            chance = probs[index] as number;
            if (range >>> 24 === 0) {
              range <<= 8;
              code = (code << 8) | (source[at++] as number);
            }
            bound = Math.imul(range >>> 11, chance);
            if (code >>> 0 < bound >>> 0) {
              range = bound;
              probs[index] = chance + ((2048 - chance) >> 5);
              distance = rep2;
            } else {
              range = (range - bound) | 0;
              code = (code - bound) | 0;
              probs[index] = chance - (chance >> 5);
              distance = rep3;
              rep3 = rep2;
            }
            rep2 = rep1;
          }
          rep1 = rep0;
          rep0 = distance;
        }
        state = state < 7 ? 8 : 11;
      }
      let count = 2;
      let treeBase = 0;
      let limit = 8;
      index = lengthBase;
      chance = probs[index] as number;
      if (range >>> 24 === 0) {
        range <<= 8;
        code = (code << 8) | (source[at++] as number);
      }
      bound = Math.imul(range >>> 11, chance);
      if (code >>> 0 < bound >>> 0) {
        range = bound;
        probs[index] = chance + ((2048 - chance) >> 5);
        treeBase = lengthBase + 2 + (positionState << 3);
      } else {
        range = (range - bound) | 0;
        code = (code - bound) | 0;
        probs[index] = chance - (chance >> 5);
        index = lengthBase + 1;
        chance = probs[index] as number;
        if (range >>> 24 === 0) {
          range <<= 8;
          code = (code << 8) | (source[at++] as number);
        }
        bound = Math.imul(range >>> 11, chance);
        if (code >>> 0 < bound >>> 0) {
          range = bound;
          probs[index] = chance + ((2048 - chance) >> 5);
          treeBase = lengthBase + 130 + (positionState << 3);
          count = 10;
        } else {
          range = (range - bound) | 0;
          code = (code - bound) | 0;
          probs[index] = chance - (chance >> 5);
          treeBase = lengthBase + 258;
          count = 18;
          limit = 256;
        }
      }
      let symbol = 1;
      do {
        index = treeBase + symbol;
        chance = probs[index] as number;
        if (range >>> 24 === 0) {
          range <<= 8;
          code = (code << 8) | (source[at++] as number);
        }
        bound = Math.imul(range >>> 11, chance);
        if (code >>> 0 < bound >>> 0) {
          range = bound;
          probs[index] = chance + ((2048 - chance) >> 5);
          symbol <<= 1;
        } else {
          range = (range - bound) | 0;
          code = (code - bound) | 0;
          probs[index] = chance - (chance >> 5);
          symbol = (symbol << 1) | 1;
        }
      } while (symbol < limit);
      count += symbol - limit;
      if (isMatch) {
        const slotBase = DISTANCE_SLOT + ((count < 6 ? count - 2 : 3) << 6);
        symbol = 1;
        do {
          index = slotBase + symbol;
          chance = probs[index] as number;
          if (range >>> 24 === 0) {
            range <<= 8;
            code = (code << 8) | (source[at++] as number);
          }
          bound = Math.imul(range >>> 11, chance);
          if (code >>> 0 < bound >>> 0) {
            range = bound;
            probs[index] = chance + ((2048 - chance) >> 5);
            symbol <<= 1;
          } else {
            range = (range - bound) | 0;
            code = (code - bound) | 0;
            probs[index] = chance - (chance >> 5);
            symbol = (symbol << 1) | 1;
          }
        } while (symbol < 64);
        const slot = symbol - 64;
        if (slot < 4) rep0 = slot;
        else {
          let bits = (slot >> 1) - 1;
          let distance = (2 | (slot & 1)) << bits;
          let tree: number;
          if (slot < 14) tree = DISTANCE_SPECIAL + distance - slot;
          else {
            let direct = bits - 4;
            let value = 0;
            do {
              if (range >>> 24 === 0) {
                range <<= 8;
                code = (code << 8) | (source[at++] as number);
              }
              range >>>= 1;
              code = (code - range) | 0;
              const mask = code >> 31;
              code = (code + (range & mask)) | 0;
              value = (value << 1) + (mask + 1);
            } while (--direct > 0);
            distance = distance + (value << 4);
            tree = DISTANCE_ALIGN;
            bits = 4;
          }
          let node = 1;
          let bit = 0;
          do {
            index = tree + node;
            chance = probs[index] as number;
            if (range >>> 24 === 0) {
              range <<= 8;
              code = (code << 8) | (source[at++] as number);
            }
            bound = Math.imul(range >>> 11, chance);
            if (code >>> 0 < bound >>> 0) {
              range = bound;
              probs[index] = chance + ((2048 - chance) >> 5);
              node <<= 1;
            } else {
              range = (range - bound) | 0;
              code = (code - bound) | 0;
              probs[index] = chance - (chance >> 5);
              node = (node << 1) | 1;
              distance += 1 << bit;
            }
          } while (++bit < bits);
          // All ones would be an end mark, which there is none of here.
          rep0 = distance >>> 0;
        }
      }
      if (rep0 >= position - first || rep0 >= dictionaryBytes) throw corrupt();
      if (position + count > outEnd) throw corrupt();
      let from = position - rep0 - 1;
      if (rep0 + 1 >= count && count > 24) {
        out.copyWithin(position, from, from + count);
        position += count;
      } else {
        const to = position + count;
        do {
          out[position++] = out[from++] as number;
        } while (position < to);
      }
    }
    if (range >>> 24 === 0) {
      range <<= 8;
      code = (code << 8) | (source[at++] as number);
    }
    if (at !== end || code !== 0) throw corrupt();
    window.position = position;
    this.#state = state;
    this.#rep0 = rep0;
    this.#rep1 = rep1;
    this.#rep2 = rep2;
    this.#rep3 = rep3;
  }
}

function corrupt(): ImageError {
  return new ImageError("IMAGE_CORRUPT", "the xz file is corrupt");
}
