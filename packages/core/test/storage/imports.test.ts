import { describe, expect, it } from "vitest";
import { downloadSpeed, showProgress, STAGES } from "../../src/storage/import-progress.ts";
import { judgeUpload } from "../../src/storage/upload-window.ts";

describe("showProgress", () => {
  it.each([
    [undefined, STAGES.only, undefined, undefined],
    [undefined, STAGES.only, 0, "0.0%"],
    [undefined, STAGES.only, 28.24, "28.2%"],
    ["28.2%", STAGES.only, undefined, "28.2%"],
    ["66.5%", STAGES.only, 12, "66.5%"],
    ["66.5%", STAGES.only, 100, "100.0%"],
    [undefined, STAGES.store, 50, "25.0%"],
    [undefined, STAGES.store, 100, "50.0%"],
    ["50.0%", STAGES.volume, 0, "50.0%"],
    ["50.0%", STAGES.volume, 50, "75.0%"],
    [undefined, STAGES.only, 120, "100.0%"],
  ])("after %s, in %j at %s: %s", (before, stage, percent, shown) => {
    expect(showProgress(before, stage, percent)).toBe(shown);
  });
});

it("shows the speed of an import, now and on average", () => {
  const mib = 2 ** 20;
  expect(downloadSpeed(100 * mib, 2.5 * mib, 1_000, 11_000)).toEqual({
    avg: "10Mi/s",
    avgBytes: "10485760",
    current: "2.5Mi/s",
    currentBytes: "2621440",
  });
});

describe("judgeUpload", () => {
  it.each([
    [0, 0, { state: "open", left: 600_000 }],
    [0, 599_999, { state: "open", left: 1 }],
    [
      0,
      600_000,
      {
        state: "expired",
        message:
          "The image was not uploaded within 10 minutes. Recreate the VirtualImage to get another upload address.",
      },
    ],
  ])("of an address from %d at %d", (since, now, decision) => {
    expect(judgeUpload(since, now, "VirtualImage")).toEqual(decision);
  });
});
