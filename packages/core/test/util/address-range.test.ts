import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  containingRange,
  gatewayOf,
  isReserved,
  macAddressOf,
  overlappingRanges,
  parseRange,
  usableAddresses,
  usableCount,
} from "../../src/util/address-range.ts";
import { formatAddress, formatIpv4, parseAddress } from "../../src/util/ip-address.ts";

const valueOf = (text: string): bigint => parseAddress(text)?.value ?? -1n;

describe("parseRange", () => {
  // The last but one is the administrator guide's own: a range that is written with host bits.
  it.each([
    ["10.66.10.0/24", "10.66.10.0/24", "10.66.10.0", "10.66.10.255", "10.66.10.0"],
    ["10.66.10.0/31", "10.66.10.0/31", "10.66.10.0", "10.66.10.1", "10.66.10.0"],
    ["10.66.10.9/32", "10.66.10.9/32", "10.66.10.9", "10.66.10.9", "10.66.10.9"],
    ["10.77.20.0/16", "10.77.0.0/16", "10.77.0.0", "10.77.255.255", "10.77.20.0"],
    ["FD00:66:0:0::/64", "fd00:66::/64", "fd00:66::", "fd00:66::ffff:ffff:ffff:ffff", "fd00:66::"],
    ["fd00::5/127", "fd00::4/127", "fd00::4", "fd00::5", "fd00::5"],
  ])("reads %s", (text, cidr, first, last, start) => {
    expect(parseRange(text)).toMatchObject({
      cidr,
      first: valueOf(first),
      last: valueOf(last),
      start: valueOf(start),
    });
  });

  it.each([
    ["10.66.10.0", "is not an address range: write it as 10.66.10.0/24"],
    ["10.66.10.0/33", "is not an address range"],
    ["10.66.10.0/", "is not an address range"],
    ["10.66.10.0/24/8", "is not an address range"],
    ["10.66.300.0/24", "is not an address range"],
    ["fd00::/129", "is not an address range"],
    ["fd00::g/64", "is not an address range"],
    ["", "is not an address range"],
    ["8.0.0.0/7", "must be between /8 and /32 wide"],
    ["fd00::/8", "must be between /16 and /128 wide"],
  ])("refuses %j", (cidr, problem) => {
    expect(() => parseRange(cidr)).toThrow(
      expect.objectContaining({
        code: "POLYVISOR_INVALID",
        message: expect.stringContaining(`${JSON.stringify(cidr)} ${problem}`),
      }),
    );
  });

  it("contains exactly the addresses with its prefix", () => {
    const address = fc.nat(0xffffffff);
    fc.assert(
      fc.property(address, fc.integer({ min: 8, max: 32 }), address, (base, prefix, other) => {
        const size = 2 ** (32 - prefix);
        const first = Math.floor(base / size) * size;
        const cidr = `${formatIpv4(first)}/${prefix}`;
        expect(parseRange(`${formatIpv4(base)}/${prefix}`)).toMatchObject({
          cidr,
          first: BigInt(first),
          last: BigInt(first + size - 1),
        });
        const inside = Math.floor(other / size) === Math.floor(base / size);
        expect(containingRange([cidr], formatIpv4(other)) !== undefined).toBe(inside);
      }),
    );
  });
});

describe("addresses", () => {
  it("are read back as they were written", () => {
    const value = fc.bigInt({ min: 0n, max: 2n ** 128n - 1n });
    fc.assert(
      fc.property(value, (number) => {
        expect(parseAddress(formatAddress({ family: 6, value: number }))?.value).toBe(number);
        const ipv4 = number & 0xffffffffn;
        expect(parseAddress(formatAddress({ family: 4, value: ipv4 }))?.value).toBe(ipv4);
      }),
    );
  });

  it.each([
    "",
    "10.66.10",
    "10.66.10.0.1",
    "10.66..1",
    "10.66.10.0/24",
    "10.66.10.256",
    "10.66.10.01",
    "a.b.c.d",
    "10.66.10.1 ",
    "fd00::1/64",
    "fe80::1%eth0",
    ":::",
  ])("are not read from %j", (text) => {
    expect(parseAddress(text)).toBeUndefined();
  });

  it.each([
    ["10.66.10.0/24", "10.66.10.0", true],
    ["10.66.10.0/24", "10.66.10.1", true],
    ["10.66.10.0/24", "10.66.10.2", false],
    ["10.66.10.0/24", "10.66.10.254", false],
    ["10.66.10.0/24", "10.66.10.255", true],
    ["10.66.10.0/24", "10.66.11.0", false],
    ["10.66.10.0/24", "nonsense", false],
    ["10.77.20.0/16", "10.77.20.0", false],
    ["10.66.10.0/31", "10.66.10.0", false],
    ["10.66.10.0/31", "10.66.10.1", false],
    ["10.66.10.9/32", "10.66.10.9", false],
    ["fd00::/64", "fd00::", true],
    ["fd00::/64", "fd00:0::1", true],
    ["fd00::/64", "fd00::2", false],
    ["fd00::/64", "fd00::ffff:ffff:ffff:ffff", true],
    ["::a42:a00/120", "10.66.10.0", false],
  ])("in %s, %s is reserved: %j", (cidr, address, reserved) => {
    expect(isReserved(parseRange(cidr), address)).toBe(reserved);
  });

  it.each([
    ["10.66.10.0/24", "10.66.10.1"],
    ["10.66.10.0/30", "10.66.10.1"],
    ["10.66.10.0/31", undefined],
    ["10.66.10.0/32", undefined],
    ["fd00:66::/64", "fd00:66::1"],
    ["fd00:66::/127", undefined],
  ])("of %s have the gateway %s", (cidr, gateway) => {
    expect(gatewayOf(parseRange(cidr))).toBe(gateway);
  });

  it.each([
    ["10.66.10.0/29", 5],
    ["10.66.10.0/30", 1],
    ["10.66.10.0/31", 2],
    ["10.66.10.0/32", 1],
    ["fd00::/125", 5],
  ])("of %s that guests can have are %d", (cidr, count) => {
    const range = parseRange(cidr);
    const addresses = [...usableAddresses(range)];
    expect(usableCount(range)).toBe(count);
    expect(addresses).toHaveLength(count);
    expect(addresses.filter((address) => isReserved(range, address))).toEqual([]);
  });

  it("have MAC addresses that no other address has", () => {
    expect(macAddressOf("10.66.10.2")).toBe("5e:50:0a:42:0a:02");
    const ipv6 = macAddressOf("fd00:66::2");
    expect(ipv6).toMatch(/^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/);
    expect(Number.parseInt(ipv6.slice(0, 2), 16) & 0x03).toBe(0x02);
    expect(macAddressOf("FD00:66:0::2")).toBe(ipv6);
    expect(macAddressOf("fd00:66::3")).not.toBe(ipv6);
  });
});

describe("overlappingRanges", () => {
  it.each([
    [["10.0.0.0/24", "10.0.1.0/24"], undefined],
    [
      ["10.0.1.0/24", "10.0.0.0/23"],
      ["10.0.0.0/23", "10.0.1.0/24"],
    ],
    [
      ["10.0.0.0/24", "10.0.0.0/24"],
      ["10.0.0.0/24", "10.0.0.0/24"],
    ],
    [
      ["10.0.0.0/8", "192.168.0.0/16", "10.9.0.0/16"],
      ["10.0.0.0/8", "10.9.0.0/16"],
    ],
    [["10.0.0.0/8", "::a00:0/120"], undefined],
    [
      ["fd00::/64", "10.0.0.0/8", "fd00::5:0/120"],
      ["fd00::/64", "fd00::5:0/120"],
    ],
  ])("of %j are %j", (cidrs, found) => {
    expect(overlappingRanges(cidrs.map(parseRange))?.map(({ cidr }) => cidr)).toEqual(found);
  });
});
