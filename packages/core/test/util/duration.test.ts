import { describe, expect, it } from "vitest";
import { parseDuration } from "../../src/util/duration.ts";

describe("a duration", () => {
  it.each([
    ["30m", 1_800_000],
    ["1h30m", 5_400_000],
    ["1.5h", 5_400_000],
    ["10s", 10_000],
    ["250ms", 250],
    ["0s", 0],
    ["", undefined],
    ["30", undefined],
    ["30 m", undefined],
    ["-5m", undefined],
    ["5d", undefined],
    ["m", undefined],
  ])("%j is %s milliseconds", (text, milliseconds) => {
    expect(parseDuration(text)).toBe(milliseconds);
  });
});
