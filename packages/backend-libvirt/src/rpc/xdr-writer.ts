import { RpcError } from "./rpc-error.ts";
import { maxListLength, maxStringBytes } from "./xdr-limits.ts";
import type { Integer64 } from "./xdr-reader.ts";

const hexUuid = /^[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}$/i;

/**
 * Writes XDR (RFC 4506) as libvirt reads it, into a buffer that grows by doubling.
 *
 * Every method throws an {@link RpcError} with `RPC_INVALID_ARGUMENT` for a value that its type
 * cannot carry.
 */
export class XdrWriter {
  #bytes: Buffer;
  #length = 0;

  constructor(initialCapacity = 256) {
    this.#bytes = Buffer.allocUnsafe(initialCapacity);
  }

  /** Bytes written so far. */
  get length(): number {
    return this.#length;
  }

  /** What has been written; a view that stays valid while nothing more is written. */
  finish(): Buffer {
    return this.#bytes.subarray(0, this.#length);
  }

  /** Skips `length` bytes for the caller to fill in later and returns their offset. */
  reserve(length: number): number {
    return this.#grow(length);
  }

  /** A signed 32-bit integer (RFC 4506 section 4.1). */
  writeInt(value: number): void {
    if ((value | 0) !== value) throw invalid(`${value} is not a signed 32-bit integer.`);
    const at = this.#grow(4);
    this.#bytes.writeInt32BE(value, at);
  }

  /** An unsigned 32-bit integer (RFC 4506 section 4.2). */
  writeUnsignedInt(value: number): void {
    if (value >>> 0 !== value) throw invalid(`${value} is not an unsigned 32-bit integer.`);
    const at = this.#grow(4);
    this.#bytes.writeUInt32BE(value, at);
  }

  /** A boolean (RFC 4506 section 4.4). */
  writeBoolean(value: boolean): void {
    this.writeInt(value ? 1 : 0);
  }

  /** A signed 64-bit integer (RFC 4506 section 4.5). */
  writeHyper(value: Integer64): void {
    const wide = toBigInt(value);
    if (BigInt.asIntN(64, wide) !== wide) throw invalid(`${value} is not a signed 64-bit integer.`);
    const at = this.#grow(8);
    this.#bytes.writeBigInt64BE(wide, at);
  }

  /** An unsigned 64-bit integer (RFC 4506 section 4.5). */
  writeUnsignedHyper(value: Integer64): void {
    const wide = toBigInt(value);
    if (BigInt.asUintN(64, wide) !== wide) {
      throw invalid(`${value} is not an unsigned 64-bit integer.`);
    }
    const at = this.#grow(8);
    this.#bytes.writeBigUInt64BE(wide, at);
  }

  /** A double-precision number (RFC 4506 section 4.7). */
  writeDouble(value: number): void {
    const at = this.#grow(8);
    this.#bytes.writeDoubleBE(value, at);
  }

  /** A string (RFC 4506 section 4.11) of at most 4 MiB of UTF-8 without NUL characters. */
  writeString(value: string): void {
    const length = Buffer.byteLength(value);
    if (length > maxStringBytes) {
      throw invalid(`A string of ${length} bytes passes the limit ${maxStringBytes}.`);
    }
    if (value.includes("\0")) throw invalid("A string with a NUL character would be cut short.");
    this.writeUnsignedInt(length);
    const at = this.#growPadded(length);
    this.#bytes.write(value, at, length);
  }

  /** Fixed-length opaque data (RFC 4506 section 4.9). */
  writeFixedOpaque(value: Uint8Array, length: number): void {
    if (value.length !== length) throw invalid(`${value.length} bytes given, ${length} needed.`);
    const at = this.#growPadded(length);
    this.#bytes.set(value, at);
  }

  /** Variable-length opaque data (RFC 4506 section 4.10) of at most `limit` bytes. */
  writeOpaque(value: Uint8Array, limit: number): void {
    if (value.length > limit) throw invalid(`${value.length} bytes pass the limit ${limit}.`);
    this.writeUnsignedInt(value.length);
    this.writeFixedOpaque(value, value.length);
  }

  /** A UUID in text form, as sixteen opaque bytes. */
  writeUuid(value: string): void {
    if (!hexUuid.test(value)) throw invalid(`"${value}" is not a UUID.`);
    const at = this.#grow(16);
    this.#bytes.write(value.replaceAll("-", ""), at, 16, "hex");
  }

  /** A C character array, which libvirt sends with four bytes per character; NUL filled. */
  writeCharArray(value: string, length: number): void {
    const characters = Buffer.from(value);
    if (characters.length > length) throw invalid(`"${value}" passes the limit ${length}.`);
    const at = this.#grow(length * 4);
    this.#bytes.fill(0, at, at + length * 4);
    for (const [index, character] of characters.entries()) {
      this.#bytes[at + index * 4 + 3] = character;
    }
  }

  /** A list of at most `limit` C characters, sent as the signed integers that C makes of them. */
  writeCharList(value: Uint8Array, limit: number): void {
    this.writeListLength(value.length, limit);
    for (const character of value) this.writeInt((character << 24) >> 24);
  }

  /** The length of a list, checked against `limit`. */
  writeListLength(length: number, limit: number = maxListLength): void {
    if (length > limit) throw invalid(`A list of ${length} elements passes the limit ${limit}.`);
    this.writeUnsignedInt(length);
  }

  #growPadded(length: number): number {
    const at = this.#grow((length + 3) & ~3);
    this.#bytes.fill(0, at + length, this.#length);
    return at;
  }

  #grow(length: number): number {
    const at = this.#length;
    const needed = at + length;
    if (needed > this.#bytes.length) {
      const larger = Buffer.allocUnsafe(Math.max(needed, this.#bytes.length * 2));
      this.#bytes.copy(larger, 0, 0, at);
      this.#bytes = larger;
    }
    this.#length = needed;
    return at;
  }
}

function toBigInt(value: Integer64): bigint {
  if (typeof value === "bigint") return value;
  if (!Number.isSafeInteger(value)) {
    throw invalid(`${value} is not a safe integer; pass larger values as a bigint.`);
  }
  return BigInt(value);
}

function invalid(message: string): RpcError {
  return new RpcError("RPC_INVALID_ARGUMENT", message);
}
