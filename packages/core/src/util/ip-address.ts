import { Address6 } from "ip-address";

/** An IPv4 or IPv6 address as a number. */
export interface IpAddress {
  readonly family: 4 | 6;
  readonly value: bigint;
}

/** Reads an IPv4 address (four decimal numbers, no leading zeros) or an IPv6 address; `undefined` when `text` is none. */
export function parseAddress(text: string): IpAddress | undefined {
  const number = parseIpv4(text);
  if (number !== undefined) return { family: 4, value: BigInt(number) };
  if (!text.includes(":") || /[/%]/.test(text) || !Address6.isValid(text)) return undefined;
  return { family: 6, value: new Address6(text).bigInt() };
}

/**
 * The address in its canonical form: dotted decimals, or hexadecimal groups with the longest run of zeros left out
 * (RFC 5952).
 */
export function formatAddress({ family, value }: IpAddress): string {
  return family === 4 ? formatIpv4(Number(value)) : Address6.fromBigInt(value).correctForm();
}

/** {@link parseAddress} of IPv4 alone, as a number of 32 bits. */
export function parseIpv4(text: string): number | undefined {
  let value = 0;
  let part = -1;
  let parts = 0;
  for (let index = 0; index <= text.length; index += 1) {
    const code = index === text.length ? DOT : text.charCodeAt(index);
    if (code === DOT) {
      if (part < 0) return undefined;
      value = value * 256 + part;
      part = -1;
      parts += 1;
    } else {
      const digit = code - ZERO;
      if (digit < 0 || digit > 9 || part === 0) return undefined;
      part = part < 0 ? digit : part * 10 + digit;
      if (part > 255) return undefined;
    }
  }
  return parts === 4 ? value : undefined;
}

const DOT = 46;
const ZERO = 48;

/** A number of 32 bits as an IPv4 address. */
export function formatIpv4(value: number): string {
  return `${value >>> 24}.${(value >>> 16) & 0xff}.${(value >>> 8) & 0xff}.${value & 0xff}`;
}
