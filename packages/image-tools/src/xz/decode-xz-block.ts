import { ReusedMemory } from "../worker/reused-memory.ts";
import { LzmaDecoder, type LzmaWindow } from "./lzma-decoder.ts";
import type { XzBlock } from "./xz-block.ts";
import { xzCheckBytes, xzChecker, type XzChecker } from "./xz-check.ts";
import { xzCorrupt } from "./xz-error.ts";
import { XZ_INPUT_BYTES, XzInput, type ReadXzFile } from "./xz-input.ts";

const OUTPUT_BYTES = 1024 * 1024;
const MAX_CHUNK_BYTES = 2 * 1024 * 1024;
// What is kept is moved to the front when the rest is full: the longer that is, the rarer.
const MIN_REST_BYTES = 2 * MAX_CHUNK_BYTES;
const MAX_REST_BYTES = 16 * 1024 * 1024;

/** Memory that decoding a block takes for its content. */
export function xzWindowBytes({ dictionaryBytes, contentBytes }: XzBlock): number {
  const rest = Math.min(Math.max(dictionaryBytes, MIN_REST_BYTES), MAX_REST_BYTES);
  return Math.min(dictionaryBytes + rest, contentBytes);
}

/** What decoding takes of memory, for one block after the other. */
export class XzMemory {
  readonly window: ReusedMemory = new ReusedMemory();
  readonly input: Uint8Array = new Uint8Array(XZ_INPUT_BYTES);
  readonly decoder: LzmaDecoder = new LzmaDecoder();
}

/**
 * Decodes a block and checks it, on this thread. Yields its content in pieces, each in memory of its
 * own; what it takes of the file is counted by `leftBytes` of the input.
 *
 * @throws ImageError `IMAGE_CORRUPT`, and as `read` does.
 * @see The .xz File Format 1.2.1, sections 3.2 to 3.4 and 5.3.1
 */
export function* decodeXzBlock(
  block: XzBlock,
  read: ReadXzFile,
  memory: XzMemory = new XzMemory(),
): Generator<Uint8Array<ArrayBuffer>, void, void> {
  const input = new XzInput(memory.input, read, block.dataOffset, block.dataBytes);
  const window: LzmaWindow = {
    bytes: memory.window.take(xzWindowBytes(block)),
    position: 0,
    first: 0,
    phase: 0,
    dictionaryBytes: block.dictionaryBytes,
  };
  const checker = xzChecker(block.check);
  const chunks = new Lzma2Chunks(input, window, memory.decoder);
  let left = block.contentBytes;
  let given = 0;

  function give(): Uint8Array<ArrayBuffer> {
    const bytes = new Uint8Array(window.bytes.subarray(given, window.position));
    given = window.position;
    checker.add(bytes);
    return bytes;
  }

  for (;;) {
    const length = chunks.next();
    if (length === undefined) break;
    if (length > left) throw xzCorrupt("a block is longer than the index says");
    left -= length;
    if (window.position + length > window.bytes.length) {
      if (window.position > given) yield give();
      slide(window);
      given = window.position;
    }
    chunks.decode(length);
    if (window.position - given >= OUTPUT_BYTES) yield give();
  }
  if (window.position > given) yield give();
  if (left > 0) throw xzCorrupt("a block is shorter than the index says");
  if (input.leftBytes > 0) throw xzCorrupt("a block has stray bytes at its end");
  verify(block, checker, read);
}

function verify(
  { dataOffset, dataBytes, check }: XzBlock,
  checker: XzChecker,
  read: ReadXzFile,
): void {
  const padding = -dataBytes & 3;
  const rest = Buffer.alloc(padding + xzCheckBytes(check));
  read(rest, dataOffset + dataBytes);
  const isPadded = rest.subarray(0, padding).every((byte) => byte === 0);
  if (!isPadded || !rest.subarray(padding).equals(checker.digest())) {
    throw xzCorrupt("the check of a block is wrong");
  }
}

function slide(window: LzmaWindow): void {
  const { bytes, position, first, dictionaryBytes } = window;
  const kept = Math.min(dictionaryBytes, position - first);
  bytes.copyWithin(0, position - kept, position);
  window.first = 0;
  window.position = kept;
  window.phase = (window.phase + position - kept) & 15;
}

/** The chunks of LZMA2 in a block. */
class Lzma2Chunks {
  readonly #input: XzInput;
  readonly #window: LzmaWindow;
  readonly #decoder: LzmaDecoder;
  #control = 0;
  #hasDictionary = false;
  #hasProperties = false;

  constructor(input: XzInput, window: LzmaWindow, decoder: LzmaDecoder) {
    this.#input = input;
    this.#window = window;
    this.#decoder = decoder;
  }

  /** Length of what the next chunk holds, `undefined` at the end. */
  next(): number | undefined {
    const { bytes } = this.#input;
    const control = bytes[this.#input.take(1)] as number;
    this.#control = control;
    if (control === 0) return undefined;
    if (control > 2 && control < 0x80) throw xzCorrupt("a chunk is of an unknown kind");
    const forgetsAll = control === 1 || control >= 0xe0;
    if (!forgetsAll && !this.#hasDictionary) throw xzCorrupt("the first chunk refers to others");
    if (forgetsAll) {
      this.#hasDictionary = true;
      this.#hasProperties = false;
      this.#window.phase = -this.#window.position & 15;
      this.#window.first = this.#window.position;
    }
    const at = this.#input.take(2);
    const high = control < 0x80 ? 0 : control & 0x1f;
    return high * 65536 + (bytes[at] as number) * 256 + (bytes[at + 1] as number) + 1;
  }

  /** Decodes the chunk that {@link next} has found into the window, which has room for it. */
  decode(length: number): void {
    const { bytes } = this.#input;
    const window = this.#window;
    if (this.#control < 0x80) {
      for (let left = length; left > 0;) {
        const part = Math.min(left, 64 * 1024);
        const at = this.#input.take(part);
        window.bytes.set(bytes.subarray(at, at + part), window.position);
        window.position += part;
        left -= part;
      }
      return;
    }
    const sizeAt = this.#input.take(2);
    const storedBytes = (bytes[sizeAt] as number) * 256 + (bytes[sizeAt + 1] as number) + 1;
    if (this.#control >= 0xc0) {
      this.#decoder.setProperties(bytes[this.#input.take(1)] as number);
      this.#hasProperties = true;
    }
    if (!this.#hasProperties) throw xzCorrupt("a chunk has no properties");
    if (this.#control >= 0xa0) this.#decoder.reset();
    const at = this.#input.take(storedBytes);
    this.#decoder.decode(bytes, at, at + storedBytes, window, length);
  }
}
