import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, it } from "vitest";

const main = fileURLToPath(new URL("../main.ts", import.meta.url));

it(
  "tells of a guest that travels, and of a host that is cut off",
  { timeout: 300_000 },
  async () => {
    const { stdout } = await promisify(execFile)(process.execPath, [
      "--conditions=@polyvisor/source",
      main,
    ]);
    expect(stdout.match(/node-\d -> node-\d in \d+ ms/g)).toHaveLength(4);
    expect(stdout).toMatch(/The guest counted to \d\d/);
    // Ticks go on after the last migration.
    expect(stdout.lastIndexOf("| tick")).toBeGreaterThan(stdout.lastIndexOf("->"));
    expect(stdout).toMatch(/node-1 does not answer: /);
    expect(stdout).toMatch(/only node-2 answered/);
    expect(stdout).toMatch(/the guest is running on node-1\n/);
    expect(stdout.trimEnd()).toMatch(/Everything is removed$/);
  },
);
