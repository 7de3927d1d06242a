import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { AddressPool } from "../../src/ipam/address-pool.ts";
import { parseRange, usableAddresses } from "../../src/util/address-range.ts";
import { formatAddress, parseAddress } from "../../src/util/ip-address.ts";

/** The same by looking at every address. */
class NaivePool {
  readonly #all: readonly string[];
  readonly #taken = new Set<string>();

  constructor(cidrs: readonly string[]) {
    this.#all = cidrs.map(parseRange).flatMap((range) => {
      const { family, first, start } = range;
      const size = Number(range.last - first) + 1;
      const usable = new Set(usableAddresses(range));
      const inOrder = Array.from({ length: size }, (_, index) => {
        const offset = (Number(start - first) + index) % size;
        return formatAddress({ family, value: first + BigInt(offset) });
      });
      return inOrder.filter((address) => usable.has(address));
    });
  }

  allocate(): string | undefined {
    const free = this.#all.find((address) => !this.#taken.has(address));
    if (free !== undefined) this.#taken.add(free);
    return free;
  }

  take(address: string): void {
    this.#taken.add(canonical(address));
  }

  release(address: string): void {
    this.#taken.delete(canonical(address));
  }
}

function canonical(address: string): string {
  const found = parseAddress(address);
  return found ? formatAddress(found) : address;
}

type Step =
  { readonly type: "allocate" } | { readonly type: "take" | "release"; readonly address: string };

const RANGES = ["10.66.10.20/26", "10.66.9.0/29", "fd00::/122", "172.16.0.0/30", "172.16.1.0/31"];

/** Addresses that a guest can have, and some outside of all ranges. */
const address = fc
  .oneof(
    fc.integer({ min: 2, max: 62 }).map((host) => `10.66.10.${host}`),
    fc.integer({ min: 2, max: 6 }).map((host) => `10.66.9.${host}`),
    fc.integer({ min: 2, max: 62 }).map((host) => `fd00:0::${host.toString(16)}`),
    fc.constantFrom(
      "172.16.0.2",
      "172.16.1.0",
      "172.16.1.1",
      "fd01::1",
      "::1",
      "192.168.0.5",
      "10.66.11.1",
      "no address",
    ),
  )
  .map((text) => text);
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 3, arbitrary: fc.constant({ type: "allocate" as const }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant("take" as const), address }) },
  { weight: 2, arbitrary: fc.record({ type: fc.constant("release" as const), address }) },
);

function play(pool: AddressPool | NaivePool, steps: readonly Step[]): (string | undefined)[] {
  return steps.map((one) => {
    if (one.type === "allocate") return pool.allocate();
    pool[one.type](one.address);
    return undefined;
  });
}

describe("AddressPool", () => {
  it("gives the same addresses as a search through all of them", () => {
    fc.assert(
      fc.property(fc.array(step, { minLength: 50, maxLength: 200 }), (steps) => {
        const got = play(new AddressPool(RANGES.map(parseRange)), steps);
        expect(got).toEqual(play(new NaivePool(RANGES), steps));
      }),
      { numRuns: 200 },
    );
  });

  it("gives out the whole of a /16 in order, but network, gateway and broadcast address", () => {
    const range = parseRange("10.66.0.0/16");
    const pool = new AddressPool([range]);
    for (const address of usableAddresses(range)) {
      const got = pool.allocate();
      if (got !== address) expect(got).toBe(address);
    }
    expect(pool.allocate()).toBeUndefined();
    for (const freed of ["10.66.200.7", "10.66.3.255", "10.66.3.254"]) pool.release(freed);
    expect([1, 2, 3, 4].map(() => pool.allocate())).toEqual([
      "10.66.3.254",
      "10.66.3.255",
      "10.66.200.7",
      undefined,
    ]);
  });

  it("finds the only free address of a /8 at once", () => {
    const pool = new AddressPool([parseRange("10.0.0.0/8")]);
    expect(pool.allocate()).toBe("10.0.0.2");
    pool.take("10.0.0.3");
    expect(pool.allocate()).toBe("10.0.0.4");
  });

  it("gives out the addresses of a /31 and of a /32, all of them", () => {
    const pool = new AddressPool(["10.9.0.0/31", "10.9.0.7/32"].map(parseRange));
    expect([1, 2, 3, 4].map(() => pool.allocate())).toEqual([
      "10.9.0.0",
      "10.9.0.1",
      "10.9.0.7",
      undefined,
    ]);
  });

  it("begins at the address with which a range is written, and goes on at the beginning", () => {
    const pool = new AddressPool([parseRange("10.77.255.253/16")]);
    expect([1, 2, 3].map(() => pool.allocate())).toEqual([
      "10.77.255.253",
      "10.77.255.254",
      "10.77.0.2",
    ]);
  });

  it("gives out addresses of an IPv6 /64 without looking at all of them", () => {
    const pool = new AddressPool([parseRange("fd00:66:10::/64")]);
    pool.take("fd00:66:10:0::3");
    pool.take("fd00:66:10::ffff:0:0:9");
    expect([1, 2].map(() => pool.allocate())).toEqual(["fd00:66:10::2", "fd00:66:10::4"]);
    pool.release("fd00:66:10::2");
    expect(pool.allocate()).toBe("fd00:66:10::2");
  });

  it("uses the ranges in the order in which they are configured", () => {
    const pool = new AddressPool(["10.9.0.0/30", "10.1.0.0/30"].map(parseRange));
    expect([pool.allocate(), pool.allocate(), pool.allocate()]).toEqual([
      "10.9.0.2",
      "10.1.0.2",
      undefined,
    ]);
  });

  it("gives nothing without ranges", () => {
    expect(new AddressPool([]).allocate()).toBeUndefined();
  });
});
