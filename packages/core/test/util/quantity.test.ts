import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { formatBytes, formatBytesApproximately, parseQuantity } from "../../src/util/quantity.ts";

describe("parseQuantity", () => {
  it.each([
    ["0", 0],
    ["1079296", 1_079_296],
    ["1k", 1e3],
    ["50G", 50e9],
    ["10Gi", 10 * 2 ** 30],
    ["1.5Gi", 1.5 * 2 ** 30],
    [".5Mi", 2 ** 19],
    ["2.", 2],
    ["1e3", 1000],
    ["1E3", 1000],
    ["1E", 1e18],
    ["12e-1", 1.2],
    ["+4Ki", 4096],
    ["-1", -1],
    ["500m", 0.5],
    [7, 7],
  ] as const)("reads %s", (text, value) => {
    expect(parseQuantity(text)).toBe(value);
  });

  it.each(["", " ", "Gi", "10 Gi", "10GB", "ten", "1e", "0x10", "1,5", "1ki", "1e3.5", "1e999"])(
    "refuses %j and says what a quantity is",
    (text) => {
      expect(() => parseQuantity(text)).toThrow(
        expect.objectContaining({
          code: "POLYVISOR_INVALID",
          message: `${JSON.stringify(text)} is not a quantity: write a number with an optional unit, such as 10Gi`,
        }),
      );
    },
  );

  it("agrees with the definition of every unit", () => {
    const units = ["k", "M", "G", "T", "P", "E"];
    const unit = fc.integer({ min: 0, max: units.length - 1 });
    fc.assert(
      fc.property(fc.nat(4000), unit, (count, index) => {
        const upper = (units[index] ?? "").toUpperCase();
        expect(parseQuantity(`${count}${units[index]}`)).toBe(count * 1000 ** (index + 1));
        expect(parseQuantity(`${count}${upper}i`)).toBe(count * 1024 ** (index + 1));
      }),
    );
  });
});

describe("formatBytes", () => {
  it.each([
    [0, "0"],
    [1023, "1023"],
    [1024, "1Ki"],
    [300 * 2 ** 20, "300Mi"],
    [2 ** 30, "1Gi"],
    [1_079_296, "1054Ki"],
    [3 * 2 ** 60, "3Ei"],
  ])("writes %d as %s", (bytes, text) => {
    expect(formatBytes(bytes)).toBe(text);
  });

  it("is exact: what was written is read back", () => {
    fc.assert(
      fc.property(fc.maxSafeNat(), (bytes) => {
        expect(parseQuantity(formatBytes(bytes))).toBe(bytes);
      }),
    );
  });

  it.each([
    [0, "0 B"],
    [512, "512 B"],
    [1536, "1.5 KiB"],
    [512 * 2 ** 20, "512.0 MiB"],
    [2 ** 40, "1.0 TiB"],
  ])("shows %d to a person as %s", (bytes, text) => {
    expect(formatBytesApproximately(bytes)).toBe(text);
  });
});
