import { expect, test } from "vitest";
import { runFuzzer } from "./run-fuzzer.ts";

test("changed images never crash, hang or exhaust their reader", { timeout: 120_000 }, async () => {
  const report = await runFuzzer({ durationMs: 4000, seed: 20_260_101 });
  expect(report.failures).toEqual([]);
  expect(report.runs).toBeGreaterThan(500);
  expect(report.accepted).toBeGreaterThan(0);
  expect(Object.keys(report.refused).length).toBeGreaterThan(3);
});
