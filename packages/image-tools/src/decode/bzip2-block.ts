import type { BitReader } from "./bzip2-bits.ts";
import { HuffmanTable } from "./bzip2-huffman.ts";

const GROUP_SYMBOLS = 50;
const MAX_CODE_BITS = 20;
const OUTPUT_BYTES = 1024 * 1024;
const REPEATS_BEFORE_COUNT = 4;

/** Thrown inside the bzip2 decoder for damaged data; the message says what is wrong. */
export class Bzip2Damage extends Error {}

/** One block after its entropy decoding. */
export interface Bzip2Block {
  readonly crc: number;
  /** Position in the sorted rotations at which the text begins. */
  readonly origin: number;
  /** The last column of the sorted rotations in the low 8 bits, the order of the text above. */
  readonly links: Uint32Array;
}

/** Reads a block behind its magic; `maxBytes` is the block size of the stream. */
export function readBzip2Block(reader: BitReader, maxBytes: number): Bzip2Block {
  const crc = ((reader.read(16) << 16) | reader.read(16)) >>> 0;
  if (reader.read(1) !== 0) throw new Bzip2Damage("it uses randomised blocks of an old version");
  const origin = reader.read(24);
  const alphabet = readAlphabet(reader);
  const tableCount = reader.read(3);
  const selectorCount = reader.read(15);
  if (tableCount < 2 || tableCount > 6 || selectorCount === 0) {
    throw new Bzip2Damage("a block has an impossible number of tables");
  }
  const selectors = readSelectors(reader, tableCount, selectorCount);
  const tables = Array.from({ length: tableCount }, () => readTable(reader, alphabet.length + 2));
  const { column, length } = readColumn(reader, { alphabet, selectors, tables, maxBytes });
  if (origin >= length) throw new Bzip2Damage("a block begins outside of itself");
  return { crc, origin, links: linkColumn(column, length) };
}

function readAlphabet(reader: BitReader): Uint8Array {
  const used: number[] = [];
  const ranges = reader.read(16);
  for (let range = 0; range < 16; range += 1) {
    if (((ranges >>> (15 - range)) & 1) === 0) continue;
    const bits = reader.read(16);
    for (let bit = 0; bit < 16; bit += 1) {
      if (((bits >>> (15 - bit)) & 1) === 1) used.push(range * 16 + bit);
    }
  }
  if (used.length === 0) throw new Bzip2Damage("a block uses no bytes");
  return Uint8Array.from(used);
}

function readSelectors(reader: BitReader, tables: number, count: number): Uint8Array {
  const order = Array.from({ length: tables }, (_value, index) => index);
  const selectors = new Uint8Array(count);
  for (let index = 0; index < count; index += 1) {
    let position = 0;
    while (reader.read(1) === 1) {
      position += 1;
      if (position >= tables) throw new Bzip2Damage("a block selects a table that is not there");
    }
    const [selected = 0] = order.splice(position, 1);
    order.unshift(selected);
    selectors[index] = selected;
  }
  return selectors;
}

function readTable(reader: BitReader, symbols: number): HuffmanTable {
  const lengths = new Uint8Array(symbols);
  let length = reader.read(5);
  for (let symbol = 0; symbol < symbols; symbol += 1) {
    for (;;) {
      if (length < 1 || length > MAX_CODE_BITS) throw new Bzip2Damage("a code is too long");
      if (reader.read(1) === 0) break;
      length += reader.read(1) === 0 ? 1 : -1;
    }
    lengths[symbol] = length;
  }
  return new HuffmanTable(lengths);
}

interface ColumnInput {
  readonly alphabet: Uint8Array;
  readonly selectors: Uint8Array;
  readonly tables: readonly HuffmanTable[];
  readonly maxBytes: number;
}

/** Undoes the Huffman, run-length and move-to-front coding. */
function readColumn(
  reader: BitReader,
  { alphabet, selectors, tables, maxBytes }: ColumnInput,
): { readonly column: Uint8Array; readonly length: number } {
  const recent = Uint8Array.from(alphabet);
  const column = new Uint8Array(maxBytes);
  const endOfBlock = alphabet.length + 1;
  let length = 0;
  let run = 0;
  let runBit = 1;
  let group = 0;
  let left = 0;
  let table: HuffmanTable | undefined;
  for (;;) {
    if (left === 0) {
      if (group === selectors.length) throw new Bzip2Damage("a block has too few selectors");
      table = tables[selectors[group] as number];
      group += 1;
      left = GROUP_SYMBOLS;
    }
    left -= 1;
    const symbol = (table as HuffmanTable).decode(reader);
    if (symbol < 0) throw new Bzip2Damage("a block has an unknown code");
    if (symbol <= 1) {
      run += runBit << symbol;
      runBit <<= 1;
      if (run > maxBytes) throw new Bzip2Damage("a block is too long");
      continue;
    }
    if (run > 0) {
      if (length + run > maxBytes) throw new Bzip2Damage("a block is too long");
      column.fill(recent[0] as number, length, length + run);
      length += run;
      run = 0;
      runBit = 1;
    }
    if (symbol === endOfBlock) return { column, length };
    if (length === maxBytes) throw new Bzip2Damage("a block is too long");
    const position = symbol - 1;
    const byte = recent[position] as number;
    recent.copyWithin(1, 0, position);
    recent[0] = byte;
    column[length] = byte;
    length += 1;
  }
}

function linkColumn(column: Uint8Array, length: number): Uint32Array {
  const starts = new Uint32Array(256);
  for (let index = 0; index < length; index += 1) {
    const byte = column[index] as number;
    starts[byte] = (starts[byte] as number) + 1;
  }
  let sum = 0;
  for (let byte = 0; byte < 256; byte += 1) {
    const count = starts[byte] as number;
    starts[byte] = sum;
    sum += count;
  }
  const links = new Uint32Array(length);
  for (let index = 0; index < length; index += 1) links[index] = column[index] as number;
  for (let index = 0; index < length; index += 1) {
    const byte = column[index] as number;
    const at = starts[byte] as number;
    starts[byte] = at + 1;
    links[at] = ((links[at] as number) | (index << 8)) >>> 0;
  }
  return links;
}

const crcTable = new Uint32Array(256).map((_zero, byte) => {
  let value = byte << 24;
  for (let bit = 0; bit < 8; bit += 1) {
    value = value < 0 ? (value << 1) ^ 0x04c11db7 : value << 1;
  }
  return value >>> 0;
});

/**
 * Yields the text of a block in pieces of at most 1 MiB and checks its checksum at the end, before
 * the last piece.
 */
export function* expandBzip2Block(block: Bzip2Block): Generator<Buffer, void, void> {
  const { links } = block;
  let output = Buffer.allocUnsafeSlow(OUTPUT_BYTES);
  let used = 0;
  let crc = -1;
  let position = (links[block.origin] as number) >>> 8;
  let last = -1;
  let repeats = 0;
  for (let count = links.length; count > 0; count -= 1) {
    const link = links[position] as number;
    const byte = link & 0xff;
    position = link >>> 8;
    let times = 1;
    let value = byte;
    if (repeats === REPEATS_BEFORE_COUNT) {
      times = byte;
      value = last;
      repeats = 0;
      last = -1;
    } else if (byte === last) {
      repeats += 1;
    } else {
      last = byte;
      repeats = 1;
    }
    for (; times > 0; times -= 1) {
      output[used] = value;
      used += 1;
      crc = (crc << 8) ^ (crcTable[(crc >>> 24) ^ value] as number);
      if (used === OUTPUT_BYTES) {
        yield output;
        output = Buffer.allocUnsafeSlow(OUTPUT_BYTES);
        used = 0;
      }
    }
  }
  if (~crc >>> 0 !== block.crc) throw new Bzip2Damage("the checksum of a block is wrong");
  if (used > 0) yield output.subarray(0, used);
}
