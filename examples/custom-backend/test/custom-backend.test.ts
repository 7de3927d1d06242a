import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, it } from "vitest";

const main = fileURLToPath(new URL("../main.ts", import.meta.url));
const page = fileURLToPath(new URL("../../../docs/minimal-backend.md", import.meta.url));

it("passes everything that it claims, and reports it", { timeout: 60_000 }, async () => {
  const run = promisify(execFile)(process.execPath, ["--conditions=@polyvisor/source", main]);
  const { stdout } = await run;
  const sums = stdout.split("\n").filter((line) => /^ {2}\d/.test(line));
  expect(sums).toHaveLength(2);
  for (const sum of sums) expect(sum).toMatch(/^ {2}\d+ passed, \d+ not applicable$/);
  expect(stdout).toMatch(/^ {2}passed +start\/next-incarnation/m);
  expect(stdout).toMatch(/^ {2}not applicable +migration\/moves .*\(lacks migration\)$/m);
});

it("is the program of the page, and its backend has less than 100 lines", async () => {
  const program = await readFile(main, "utf8");
  const [, shown] = /^```ts\n([\s\S]*?)^```$/m.exec(await readFile(page, "utf8")) ?? [];
  expect(shown).toBe(program);
  const backend = program.slice(0, program.indexOf("// The backend ends here."));
  expect(backend.trimEnd().split("\n").length).toBeLessThan(100);
});
