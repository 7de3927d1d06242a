import { RpcError } from "./rpc-error.ts";
import { StringTable } from "./string-table.ts";
import { maxListLength, maxStringBytes } from "./xdr-limits.ts";

/** A 64-bit integer: a number while it is safe, else a bigint. `BigInt(value)` unifies both. */
export type Integer64 = number | bigint;

const names = new StringTable();

/**
 * Reads XDR (RFC 4506) as libvirt writes it.
 *
 * Every method throws an {@link RpcError} with `RPC_PROTOCOL` when the bytes end early or a
 * length passes its limit, and checks the limit before it allocates.
 */
export class XdrReader {
  readonly #bytes: Buffer;
  #offset: number;

  constructor(bytes: Uint8Array, offset = 0) {
    this.#bytes = Buffer.isBuffer(bytes)
      ? bytes
      : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#offset = offset;
  }

  /** Bytes not read yet. */
  get remaining(): number {
    return this.#bytes.length - this.#offset;
  }

  /** A signed 32-bit integer (RFC 4506 section 4.1). */
  readInt(): number {
    return this.#bytes.readInt32BE(this.#advance(4));
  }

  /** An unsigned 32-bit integer (RFC 4506 section 4.2). */
  readUnsignedInt(): number {
    return this.#bytes.readUInt32BE(this.#advance(4));
  }

  /** A boolean; libvirt sends any non-zero integer for true. */
  readBoolean(): boolean {
    return this.readInt() !== 0;
  }

  /** A signed 64-bit integer (RFC 4506 section 4.5). */
  readHyper(): Integer64 {
    const at = this.#advance(8);
    const value = this.#bytes.readInt32BE(at) * 0x1_0000_0000 + this.#bytes.readUInt32BE(at + 4);
    return Number.isSafeInteger(value) ? value : this.#bytes.readBigInt64BE(at);
  }

  /** An unsigned 64-bit integer (RFC 4506 section 4.5). */
  readUnsignedHyper(): Integer64 {
    const at = this.#advance(8);
    const value = this.#bytes.readUInt32BE(at) * 0x1_0000_0000 + this.#bytes.readUInt32BE(at + 4);
    return Number.isSafeInteger(value) ? value : this.#bytes.readBigUInt64BE(at);
  }

  /** A double-precision number (RFC 4506 section 4.7). */
  readDouble(): number {
    return this.#bytes.readDoubleBE(this.#advance(8));
  }

  /** A string (RFC 4506 section 4.11), at most 4 MiB; invalid UTF-8 becomes U+FFFD. */
  readString(): string {
    const length = this.#readLength(maxStringBytes, "string");
    const at = this.#advance(padded(length));
    return this.#bytes.toString("utf8", at, at + length);
  }

  /** A string that is likely to repeat, such as the name of a typed parameter. */
  readName(): string {
    const length = this.#readLength(maxStringBytes, "string");
    const at = this.#advance(padded(length));
    return names.get(this.#bytes, at, at + length);
  }

  /** Fixed-length opaque data (RFC 4506 section 4.9); a copy. */
  readFixedOpaque(length: number): Uint8Array {
    const at = this.#advance(padded(length));
    return new Uint8Array(this.#bytes.subarray(at, at + length));
  }

  /** Variable-length opaque data (RFC 4506 section 4.10) of at most `limit` bytes; a copy. */
  readOpaque(limit: number): Uint8Array {
    return this.readFixedOpaque(this.#readLength(limit, "opaque value"));
  }

  /** Sixteen opaque bytes in the canonical text form of a UUID (RFC 9562 section 4). */
  readUuid(): string {
    const at = this.#advance(16);
    const hex = this.#bytes.toString("hex", at, at + 16);
    return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
  }

  /** A C character array, which libvirt sends with four bytes per character, up to its first NUL. */
  readCharArray(length: number): string {
    const at = this.#advance(length * 4);
    const characters = Buffer.allocUnsafe(length);
    let used = 0;
    for (; used < length; used++) {
      const character = this.#bytes.readUInt8(at + used * 4 + 3);
      if (character === 0) break;
      characters[used] = character;
    }
    return characters.toString("utf8", 0, used);
  }

  /** A list of at most `limit` C characters, which libvirt sends with four bytes for each; a copy. */
  readCharList(limit: number): Uint8Array {
    const length = this.#readLength(limit, "character list");
    const at = this.#advance(length * 4);
    return Uint8Array.from({ length }, (_, index) => this.#bytes.readUInt8(at + index * 4 + 3));
  }

  /** The length of a list, checked against `limit` and against the bytes that are left. */
  readListLength(limit: number = maxListLength): number {
    const length = this.#readLength(limit, "list");
    if (length * 4 > this.remaining) throw endsEarly(length * 4, this.remaining);
    return length;
  }

  /** Throws `RPC_PROTOCOL` when bytes are left over. */
  expectEnd(): void {
    if (this.remaining === 0) return;
    throw new RpcError("RPC_PROTOCOL", `The message has ${this.remaining} unexpected extra bytes.`);
  }

  #readLength(limit: number, what: string): number {
    const length = this.readUnsignedInt();
    if (length <= limit) return length;
    throw new RpcError("RPC_PROTOCOL", `A ${what} of length ${length} passes the limit ${limit}.`);
  }

  #advance(length: number): number {
    const at = this.#offset;
    if (length > this.#bytes.length - at) throw endsEarly(length, this.#bytes.length - at);
    this.#offset = at + length;
    return at;
  }
}

function padded(length: number): number {
  return (length + 3) & ~3;
}

function endsEarly(needed: number, remaining: number): RpcError {
  return new RpcError(
    "RPC_PROTOCOL",
    `The message ends early: ${needed} bytes are needed, ${remaining} are left.`,
  );
}
