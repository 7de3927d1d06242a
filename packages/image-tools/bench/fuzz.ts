/* Fuzzes the format readers in this process: node bench/fuzz.ts [seconds] [seed]. */
import { argv, exit, stdout } from "node:process";
import { runFuzzer } from "../test/fuzz/run-fuzzer.ts";

const MAX_MEMORY_BYTES = 600 * 1024 * 1024;

const seconds = Number(argv[2] ?? 60);
const seed = Number(argv[3] ?? Date.now() % 2 ** 31);
if (!(seconds > 0) || !Number.isSafeInteger(seed)) {
  stdout.write("usage: node --conditions=@polyvisor/source bench/fuzz.ts [seconds] [seed]\n");
  exit(2);
}
stdout.write(`seed ${seed}, ${seconds} s\n`);
const report = await runFuzzer({
  durationMs: seconds * 1000,
  seed,
  maxMemoryBytes: MAX_MEMORY_BYTES,
});
stdout.write(`${JSON.stringify(report, undefined, 2)}\n`);
exit(report.failures.length === 0 ? 0 : 1);
