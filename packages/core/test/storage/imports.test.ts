import { describe, expect, it } from "vitest";
import { downloadSpeed, showProgress, STAGES } from "../../src/storage/import-progress.ts";
import { judgeUpload, makeUploadToken, uploadTokenOf } from "../../src/storage/upload-window.ts";

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

describe("an upload address", () => {
  const random = { bytes: (count: number) => Uint8Array.from({ length: count }, (_, i) => i * 40) };
  const token = makeUploadToken(1_000, random);

  it("is long, and of letters and digits", () => {
    expect(token).toMatch(/^[A-Za-z0-9]{32}$/);
    expect(uploadTokenOf(`https://virtualization.example.com/upload/${token}`)).toBe(token);
    expect(uploadTokenOf("https://virtualization.example.com/other")).toBeUndefined();
    expect(uploadTokenOf(undefined)).toBeUndefined();
  });

  it.each([
    [1_000, { state: "open", left: 600_000 }],
    [600_999, { state: "open", left: 1 }],
    [
      601_000,
      {
        state: "expired",
        message:
          "The image was not uploaded within 10 minutes. Recreate the VirtualImage to get another upload address.",
      },
    ],
  ])("that was made at 1000 is at %d %j", (now, decision) => {
    expect(judgeUpload(token, now, "VirtualImage")).toEqual(decision);
  });
});
