import { createHash } from "node:crypto";
import { PolyvisorError } from "./errors.ts";
import { formatAddress, type IpAddress, parseAddress } from "./ip-address.ts";

/** A range of IPv4 or IPv6 addresses that guests get theirs from. */
export interface AddressRange {
  /** In its canonical form: `10.66.10.0/24`. */
  readonly cidr: string;
  readonly family: 4 | 6;
  readonly prefix: number;
  /** The network address. */
  readonly first: bigint;
  /** The broadcast address; of IPv6, the last one. */
  readonly last: bigint;
  /** Where giving out begins: the address as it was written. `10.77.20.0/16` begins there, and goes on at `10.77.0.0`. */
  readonly start: bigint;
}

/** The widest ranges that are taken. Every width is cheap for IPv6, since nothing looks at all of its addresses. */
const WIDEST_PREFIX = { 4: 8, 6: 16 } as const;
const BITS = { 4: 32, 6: 128 } as const;

/**
 * Reads a range in CIDR notation.
 *
 * @throws `POLYVISOR_INVALID` when it is none, or is wider than /8 (IPv4) or /16 (IPv6).
 */
export function parseRange(cidr: string): AddressRange {
  const fail = (problem: string): never => {
    throw new PolyvisorError("POLYVISOR_INVALID", `${JSON.stringify(cidr)} ${problem}`);
  };
  const [text = "", digits = "", ...rest] = cidr.split("/");
  const address = parseAddress(text);
  const prefix = /^\d{1,3}$/.test(digits) ? Number(digits) : Number.NaN;
  if (address === undefined || rest.length > 0 || !(prefix <= BITS[address.family])) {
    return fail("is not an address range: write it as 10.66.10.0/24 or fd00:66:10::/64");
  }
  const { family } = address;
  if (prefix < WIDEST_PREFIX[family]) {
    return fail(`must be between /${WIDEST_PREFIX[family]} and /${BITS[family]} wide`);
  }
  const size = 1n << BigInt(BITS[family] - prefix);
  const first = (address.value / size) * size;
  const canonical = `${formatAddress({ family, value: first })}/${prefix}`;
  const last = first + size - 1n;
  return { cidr: canonical, family, prefix, first, last, start: address.value };
}

/** True when the range has so few addresses that none is kept for network, router and broadcast: /31, /32, /127, /128. */
function isPointToPoint({ family, prefix }: AddressRange): boolean {
  return BITS[family] - prefix < 2;
}

/** The first range that holds `address`. */
export function containingRange(
  cidrs: readonly string[],
  address: string,
): AddressRange | undefined {
  const found = parseAddress(address);
  if (found === undefined) return undefined;
  return cidrs.map(parseRange).find((range) => holdsAddress(range, found));
}

/** True when the address is one of the range, reserved or not. */
function holdsAddress({ family, first, last }: AddressRange, address: IpAddress): boolean {
  return family === address.family && first <= address.value && address.value <= last;
}

/**
 * The address of the router that guests in `range` are given: the first one after the network address. Absent for ranges
 * of one or two addresses, which belong to guests alone (RFC 3021, RFC 6164): their hosts route without one.
 */
export function gatewayOf(range: AddressRange): string | undefined {
  if (isPointToPoint(range)) return undefined;
  return formatAddress({ family: range.family, value: range.first + 1n });
}

/** The addresses of a range that no guest gets: network, gateway and broadcast address. */
export function reservedAddresses(range: AddressRange): readonly bigint[] {
  return isPointToPoint(range) ? [] : [range.first, range.first + 1n, range.last];
}

/** True for the network, gateway and broadcast address, which no guest gets. */
export function isReserved(range: AddressRange, address: string): boolean {
  const found = parseAddress(address);
  return found?.family === range.family && reservedAddresses(range).includes(found.value);
}

/** Two ranges that have an address in common, if there are any. */
export function overlappingRanges(
  ranges: readonly AddressRange[],
): readonly [AddressRange, AddressRange] | undefined {
  const sorted = ranges.toSorted((a, b) => a.family - b.family || compare(a.first, b.first));
  for (const [index, range] of sorted.entries()) {
    const next = sorted[index + 1];
    if (next && next.family === range.family && next.first <= range.last) return [range, next];
  }
  return undefined;
}

function compare(a: bigint, b: bigint): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/**
 * The MAC address that goes with a leased address: of IPv4, a locally administered prefix and the four bytes of the
 * address, so that it is as unique as the lease; of IPv6, which does not fit, 46 bits of its digest. The same in every
 * place, so a network can be told of it before there is a guest.
 */
export function macAddressOf(address: string): string {
  const found = parseAddress(address);
  const bytes = Buffer.alloc(6);
  if (found?.family === 6) {
    createHash("sha256").update(formatAddress(found)).digest().copy(bytes);
    bytes[0] = ((bytes[0] ?? 0) & 0xfc) | 0x02;
  } else {
    bytes.writeUInt16BE(0x5e50);
    bytes.writeUInt32BE(Number(found?.value ?? 0n), 2);
  }
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join(":");
}

/** How many addresses of a range guests can have; of a wide IPv6 range not exactly. */
export function usableCount(range: AddressRange): number {
  return Number(range.last - range.first) + 1 - reservedAddresses(range).length;
}

/** The addresses of a range that guests can have, from the lowest on. To be used on ranges of few addresses. */
export function* usableAddresses(range: AddressRange): Generator<string> {
  const reserved = reservedAddresses(range);
  for (let value = range.first; value <= range.last; value += 1n) {
    if (!reserved.includes(value)) yield formatAddress({ family: range.family, value });
  }
}
