import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { AddressPool } from "../../src/ipam/address-pool.ts";
import {
  formatAddress,
  isReserved,
  parseAddress,
  parseRange,
} from "../../src/util/address-range.ts";

/** The same by looking at every address. */
class NaivePool {
  readonly #all: number[];
  readonly #taken = new Set<number>();

  constructor(cidrs: readonly string[]) {
    this.#all = cidrs.map(parseRange).flatMap((range) => {
      const addresses = [];
      for (let address = range.first; address <= range.last; address += 1) {
        if (!isReserved(range, formatAddress(address))) addresses.push(address);
      }
      return addresses;
    });
  }

  allocate(): string | undefined {
    const free = this.#all.find((address) => !this.#taken.has(address));
    if (free !== undefined) this.#taken.add(free);
    return free === undefined ? undefined : formatAddress(free);
  }

  take(address: string): void {
    this.#taken.add(parseAddress(address) ?? -1);
  }

  release(address: string): void {
    this.#taken.delete(parseAddress(address) ?? -1);
  }
}

type Step =
  { readonly type: "allocate" } | { readonly type: "take" | "release"; readonly address: string };

const RANGES = ["10.66.10.0/26", "10.66.9.0/29", "172.16.0.0/30"];

/** Addresses that a guest can have, and some outside of all ranges. */
const address = fc
  .oneof(
    fc.integer({ min: 2, max: 62 }).map((host) => `10.66.10.${host}`),
    fc.integer({ min: 2, max: 6 }).map((host) => `10.66.9.${host}`),
    fc.constantFrom("172.16.0.2", "192.168.0.5", "10.66.11.1", "no address"),
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
    for (let value = range.first + 2; value < range.last; value += 1) {
      const got = pool.allocate();
      if (got !== formatAddress(value)) expect(got).toBe(formatAddress(value));
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
