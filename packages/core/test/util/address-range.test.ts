import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  containingRange,
  formatAddress,
  gatewayOf,
  isReserved,
  overlappingRanges,
  parseAddress,
  parseRange,
} from "../../src/util/address-range.ts";

describe("parseRange", () => {
  it("reads a range", () => {
    expect(parseRange("10.66.10.0/24")).toEqual({
      cidr: "10.66.10.0/24",
      first: parseAddress("10.66.10.0"),
      last: parseAddress("10.66.10.255"),
    });
  });

  it.each([
    ["10.66.10.0", "is not an IPv4 range: write it as 10.66.10.0/24"],
    ["10.66.10.0/33", "is not an IPv4 range: write it as 10.66.10.0/24"],
    ["10.66.300.0/24", "is not an IPv4 range: write it as 10.66.10.0/24"],
    ["fd00::/64", "is not an IPv4 range: write it as 10.66.10.0/24"],
    ["", "is not an IPv4 range: write it as 10.66.10.0/24"],
    ["10.66.10.7/24", "has host bits set: write 10.66.10.0/24"],
    ["8.0.0.0/7", "must be between /8 and /30 wide"],
    ["10.66.10.0/31", "must be between /8 and /30 wide"],
    ["10.66.10.1/32", "must be between /8 and /30 wide"],
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
      fc.property(address, fc.integer({ min: 8, max: 30 }), address, (base, prefix, other) => {
        const size = 2 ** (32 - prefix);
        const first = Math.floor(base / size) * size;
        const cidr = `${formatAddress(first)}/${prefix}`;
        expect(parseRange(cidr)).toEqual({ cidr, first, last: first + size - 1 });
        const inside = Math.floor(other / size) === Math.floor(base / size);
        expect(containingRange([cidr], formatAddress(other)) !== undefined).toBe(inside);
      }),
    );
  });
});

describe("addresses", () => {
  it("are read back as they were written", () => {
    fc.assert(
      fc.property(fc.nat(0xffffffff), (address) => {
        expect(parseAddress(formatAddress(address))).toBe(address);
      }),
    );
  });

  it.each(["", "10.66.10", "10.66.10.0/24", "10.66.10.256", "a.b.c.d", "::1", "10.66.10.1 "])(
    "are not read from %j",
    (text) => {
      expect(parseAddress(text)).toBeUndefined();
    },
  );

  it.each([
    ["10.66.10.0", true],
    ["10.66.10.1", true],
    ["10.66.10.2", false],
    ["10.66.10.254", false],
    ["10.66.10.255", true],
    ["10.66.11.0", false],
    ["nonsense", false],
  ])("%s is reserved: %j", (address, reserved) => {
    expect(isReserved(parseRange("10.66.10.0/24"), address)).toBe(reserved);
  });

  it("have the gateway behind the network address", () => {
    expect(gatewayOf(parseRange("10.66.10.0/24"))).toBe("10.66.10.1");
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
  ])("of %j are %j", (cidrs, found) => {
    expect(overlappingRanges(cidrs.map(parseRange))?.map(({ cidr }) => cidr)).toEqual(found);
  });
});
