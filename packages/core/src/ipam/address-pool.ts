import { type AddressRange, reservedAddresses } from "../util/address-range.ts";
import { formatAddress, formatIpv4, parseAddress, parseIpv4 } from "../util/ip-address.ts";
import { Bitmap } from "./bitmap.ts";

/**
 * So many addresses of a range are given out by themselves; those behind can be asked for. Only IPv6 has ranges that are
 * larger.
 */
const WINDOW = 2 ** 24;

/**
 * Which addresses of the configured ranges are taken. Gives out the next free one, in the order of the ranges, in each
 * from the address on with which it was written, and then from its beginning.
 */
export class AddressPool {
  readonly #ranges: readonly RangeWindow[];

  constructor(ranges: readonly AddressRange[]) {
    this.#ranges = ranges.map((range) => new RangeWindow(range));
  }

  /** The next free address, marked as taken; `undefined` when none is left. */
  allocate(): string | undefined {
    for (const range of this.#ranges) {
      const address = range.allocate();
      if (address !== undefined) return address;
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
    const ipv4 = parseIpv4(address);
    const ipv6 = ipv4 === undefined ? parseAddress(address)?.value : undefined;
    for (const range of this.#ranges) {
      if (ipv4 !== undefined && range.markIpv4(ipv4, taken)) return;
      if (ipv6 !== undefined && range.markIpv6(ipv6, taken)) return;
    }
  }
}

/** The addresses of a range that are given out by themselves. */
class RangeWindow {
  readonly #family: 4 | 6;
  readonly #first: bigint;
  /** `first` of IPv4, as a number. */
  readonly #base: number;
  readonly #size: number;
  /** The offset where giving out begins. */
  readonly #start: number;
  readonly #bitmap: Bitmap;

  constructor(range: AddressRange) {
    const { family, first, last, start } = range;
    const isWhole = last - first < WINDOW;
    this.#family = family;
    this.#first = isWhole ? first : start;
    this.#base = family === 4 ? Number(this.#first) : 0;
    const addresses = last - this.#first + 1n;
    this.#size = addresses > WINDOW ? WINDOW : Number(addresses);
    this.#start = Number(start - this.#first);
    this.#bitmap = new Bitmap(this.#size);
    for (const reserved of reservedAddresses(range)) {
      const offset = reserved - this.#first;
      if (offset >= 0n && offset < this.#size) this.#bitmap.set(Number(offset), true);
    }
  }

  allocate(): string | undefined {
    const offset = this.#bitmap.nextClear(this.#start) ?? this.#bitmap.nextClear(0);
    if (offset === undefined) return undefined;
    this.#bitmap.set(offset, true);
    return this.#family === 4
      ? formatIpv4(this.#base + offset)
      : formatAddress({ family: 6, value: this.#first + BigInt(offset) });
  }

  markIpv4(address: number, taken: boolean): boolean {
    return this.#family === 4 && this.#mark(address - this.#base, taken);
  }

  markIpv6(address: bigint, taken: boolean): boolean {
    if (this.#family !== 6) return false;
    const offset = address - this.#first;
    return offset >= 0n && offset < this.#size && this.#mark(Number(offset), taken);
  }

  #mark(offset: number, taken: boolean): boolean {
    if (offset < 0 || offset >= this.#size) return false;
    this.#bitmap.set(offset, taken);
    return true;
  }
}
