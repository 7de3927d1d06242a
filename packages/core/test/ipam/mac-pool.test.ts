import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { MacPool, platformOui } from "../../src/ipam/mac-pool.ts";
import { parseMac } from "../../src/util/mac-address.ts";
import type { RandomSource } from "../../src/util/random-source.ts";

/** Always the same bytes. */
function constant(...bytes: number[]): RandomSource {
  return { bytes: () => Uint8Array.from(bytes) };
}

describe("platformOui", () => {
  it("is locally administered and of no group, and follows from the identity", () => {
    fc.assert(
      fc.property(fc.uuid(), (identity) => {
        const oui = platformOui(identity);
        expect(oui).toMatch(/^[0-9a-f]{2}:[0-9a-f]{2}:[0-9a-f]{2}$/);
        expect(Number.parseInt(oui.slice(0, 2), 16) & 0x03).toBe(0x02);
        expect(platformOui(identity)).toBe(oui);
      }),
    );
  });
});

describe("MacPool", () => {
  it("gives out what chance says, and never an address twice", () => {
    const pool = new MacPool("5a:1c:9e", constant(0x12, 0x34, 0xff));
    pool.take("5a:1c:9e:12:35:00");
    pool.take("aa:bb:cc:12:35:01");
    expect([1, 2, 3].map(() => pool.allocate())).toEqual([
      "5a:1c:9e:12:34:ff",
      "5a:1c:9e:12:35:01",
      "5a:1c:9e:12:35:02",
    ]);
    pool.release("5a:1c:9e:12:35:00");
    expect(pool.allocate()).toBe("5a:1c:9e:12:35:00");
  });

  it("goes on at the beginning behind the last", () => {
    const pool = new MacPool("5a:1c:9e", constant(0xff, 0xff, 0xff));
    expect([pool.allocate(), pool.allocate()]).toEqual(["5a:1c:9e:ff:ff:ff", "5a:1c:9e:00:00:00"]);
  });
});

describe("MAC addresses", () => {
  it.each([
    ["5A-1C-9E-00-00-01", "5a:1c:9e:00:00:01"],
    ["5a:1c:9e:00:00:01", "5a:1c:9e:00:00:01"],
    ["5a:1c:9e:00:00", undefined],
    ["5a1c9e000001", undefined],
    ["", undefined],
  ])("%j is %j", (text, mac) => {
    expect(parseMac(text)).toBe(mac);
  });
});
