import { expect, test } from "vitest";
import { runFuzzer } from "./run-fuzzer.ts";

const MINUTE_MS = 60_000;
const MAX_MEMORY_BYTES = 600 * 1024 * 1024;

test("changed images never crash, hang or exhaust their reader", { timeout: 180_000 }, async () => {
  const seed = Date.now() % 2 ** 31;
  const report = await runFuzzer({
    durationMs: MINUTE_MS,
    seed,
    maxMemoryBytes: MAX_MEMORY_BYTES,
  });
  process.stdout.write(`fuzzer: ${report.runs} runs, ${report.runsPerSecond}/s, seed ${seed}\n`);
  expect(report.failures).toEqual([]);
  expect(report.runs).toBeGreaterThan(500);
  expect(report.accepted).toBeGreaterThan(0);
  expect(Object.keys(report.refused).length).toBeGreaterThan(3);
});
