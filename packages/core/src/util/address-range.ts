import { Address4 } from "ip-address";
import { PolyvisorError } from "./errors.ts";

/** A range of IPv4 addresses. Addresses are numbers of 32 bits. */
export interface AddressRange {
  /** In its canonical form: `10.66.10.0/24`. */
  readonly cidr: string;
  /** The network address. */
  readonly first: number;
  /** The broadcast address. */
  readonly last: number;
}

/** The widest range that is taken: 16,777,216 addresses. */
const WIDEST_PREFIX = 8;
/** The narrowest range that has room for network, gateway, broadcast and a guest. */
const NARROWEST_PREFIX = 30;

/**
 * Reads a range in CIDR notation.
 *
 * @throws `POLYVISOR_INVALID` when it is none, has host bits set, or is wider than /8 or narrower than /30.
 */
export function parseRange(cidr: string): AddressRange {
  const fail = (problem: string): never => {
    throw new PolyvisorError("POLYVISOR_INVALID", `${JSON.stringify(cidr)} ${problem}`);
  };
  if (!cidr.includes("/") || !Address4.isValid(cidr)) {
    return fail("is not an IPv4 range: write it as 10.66.10.0/24");
  }
  const address = new Address4(cidr);
  const first = Number(address.startAddress().bigInt());
  const canonical = `${address.startAddress().correctForm()}/${address.subnetMask}`;
  if (Number(address.bigInt()) !== first) return fail(`has host bits set: write ${canonical}`);
  if (address.subnetMask < WIDEST_PREFIX || address.subnetMask > NARROWEST_PREFIX) {
    return fail(`must be between /${WIDEST_PREFIX} and /${NARROWEST_PREFIX} wide`);
  }
  return { cidr: canonical, first, last: Number(address.endAddress().bigInt()) };
}

/** An IPv4 address as a number; `undefined` when `text` is none. */
export function parseAddress(text: string): number | undefined {
  if (text.includes("/") || !Address4.isValid(text)) return undefined;
  return Number(new Address4(text).bigInt());
}

/** A number as an IPv4 address. */
export function formatAddress(address: number): string {
  return [address >>> 24, (address >>> 16) & 0xff, (address >>> 8) & 0xff, address & 0xff].join(
    ".",
  );
}

/** The first range that holds `address`. */
export function containingRange(
  cidrs: readonly string[],
  address: string,
): AddressRange | undefined {
  const value = parseAddress(address);
  if (value === undefined) return undefined;
  return cidrs.map(parseRange).find(({ first, last }) => first <= value && value <= last);
}

/** The address of the router that guests in `range` are given: the first one after the network address. */
export function gatewayOf(range: AddressRange): string {
  return formatAddress(range.first + 1);
}

/** True for the network, gateway and broadcast address, which no guest gets. */
export function isReserved(range: AddressRange, address: string): boolean {
  const value = parseAddress(address);
  return value === range.first || value === range.first + 1 || value === range.last;
}

/** Two ranges that have an address in common, if there are any. */
export function overlappingRanges(
  ranges: readonly AddressRange[],
): readonly [AddressRange, AddressRange] | undefined {
  const sorted = ranges.toSorted((a, b) => a.first - b.first);
  for (const [index, range] of sorted.entries()) {
    const next = sorted[index + 1];
    if (next && next.first <= range.last) return [range, next];
  }
  return undefined;
}

/**
 * The MAC address that goes with a leased address: a locally administered prefix and the four bytes of the address, so
 * that it is as unique as the lease. The same in every place, so a network can be told of it before there is a guest.
 */
export function macAddressOf(address: string): string {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(parseAddress(address) ?? 0);
  return ["5e", "50", ...Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0"))].join(":");
}

/** The addresses of a range that guests can have, from the lowest on. */
export function* usableAddresses({ first, last }: AddressRange): Generator<string> {
  for (let address = first + 2; address < last; address += 1) yield formatAddress(address);
}
