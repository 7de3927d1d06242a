/**
 * How fast addresses are given out in memory: a range from empty to full, and one of which 99.9 % is taken. Run with:
 *
 *     node --conditions=@polyvisor/source bench/addresses.bench.ts
 */
import { AddressPool } from "../src/ipam/address-pool.ts";
import { parseRange } from "../src/util/address-range.ts";

const WANTED_PER_SECOND = 1_000_000;

/** Addresses a second of the process's own time. */
function rate(count: number, act: () => void): number {
  const before = process.cpuUsage();
  act();
  const { user, system } = process.cpuUsage(before);
  return count / ((user + system) / 1e6);
}

function report(what: string, perSecond: number): void {
  const met = perSecond >= WANTED_PER_SECOND;
  if (!met) process.exitCode = 1;
  const verdict = met ? "(met)" : "(NOT met)";
  console.log(`${what.padEnd(58)} ${(perSecond / 1e6).toFixed(1).padStart(8)} M/s  ${verdict}`);
}

const filling = new AddressPool([parseRange("10.0.0.0/8")]);
const filled = 4_000_000;
report(
  "addresses given out of an empty /8",
  rate(filled, () => {
    for (let index = 0; index < filled; index += 1) filling.allocate();
  }),
);

const busy = new AddressPool([parseRange("10.66.0.0/16")]);
const given: string[] = [];
for (let address = busy.allocate(); address !== undefined; address = busy.allocate())
  given.push(address);
const free = Math.ceil(given.length / 1000);
for (let index = 0; index < free; index += 1)
  busy.release(given[(index * 997) % given.length] ?? "");
const rounds = 2_000_000;
report(
  "addresses given out and back of a /16 of which 99.9 % is taken",
  rate(rounds, () => {
    for (let index = 0; index < rounds; index += 1) {
      const address = busy.allocate();
      if (address !== undefined && index >= free)
        busy.release(given[(index * 997) % given.length] ?? "");
    }
  }),
);
