/**
 * How fast addresses are given out and given back with 99.9 % of a /16 in use, beside a search through all of them. Run
 * with:
 *
 *     node --conditions=@polyvisor/source bench/addresses.bench.ts
 */
import { AddressPool } from "../src/ipam/address-pool.ts";
import { parseRange, usableAddresses, usableCount } from "../src/util/address-range.ts";

const RANGE = parseRange("10.66.0.0/16");
const USED = Math.floor(usableCount(RANGE) * 0.999);

interface Pool {
  allocate(): string | undefined;
  release(address: string): void;
}

/** The anchor: looks at every address from the first on. */
class NaivePool implements Pool {
  readonly #all = [...usableAddresses(RANGE)];
  readonly #taken = new Set<string>();

  allocate(): string | undefined {
    const free = this.#all.find((address) => !this.#taken.has(address));
    if (free !== undefined) this.#taken.add(free);
    return free;
  }

  take(address: string): void {
    this.#taken.add(address);
  }

  release(address: string): void {
    this.#taken.delete(address);
  }
}

/** Takes 50 addresses at a time and gives them back. */
function measure(name: string, pool: Pool, batches: number): void {
  let taking = 0;
  let giving = 0;
  for (let batch = 0; batch < batches; batch += 1) {
    const start = performance.now();
    const held = Array.from({ length: BATCH }, () => pool.allocate() ?? missing());
    const middle = performance.now();
    for (const address of held) pool.release(address);
    taking += middle - start;
    giving += performance.now() - middle;
  }
  const rate = (milliseconds: number): string =>
    Math.round((BATCH * batches * 1_000) / milliseconds)
      .toLocaleString("en")
      .padStart(12);
  console.log(`${name.padEnd(8)} given out ${rate(taking)} a second, given back ${rate(giving)}`);
}

const BATCH = 50;

function missing(): never {
  throw new Error("no address is left");
}

const pool = new AddressPool([RANGE]);
for (let count = 0; count < USED; count += 1) pool.allocate();
measure("bitmap", pool, 40_000);

const naive = new NaivePool();
for (const address of [...usableAddresses(RANGE)].slice(0, USED)) naive.take(address);
measure("search", naive, 4);
