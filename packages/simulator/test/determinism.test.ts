import type { DataCenterOptions } from "@polyvisor/simulator";
import { expect, it } from "vitest";
import { blankDisk, diskOfImage, imageManifest, machine, openWorld } from "./support/world.ts";

/** A day in a data centre in which much goes wrong. */
async function day(options: DataCenterOptions): Promise<string> {
  await using world = await openWorld({
    faults: [
      { on: "createVolume", probability: 0.3, fail: "unavailable" },
      { on: "startGuest", probability: 0.3, fail: "lost-answer" },
      { on: "stopGuest", probability: 0.2, after: "3s" },
      { at: "5m", cut: { between: ["manager", "node-1"] }, for: "2m" },
      { at: "10m", crash: "default/vm-1" },
      { at: "12m", reset: "node-2" },
      { at: "20m", cut: { between: ["node-3", "storage"] }, for: "1m" },
    ],
    ...options,
  });
  const { platform, center } = world;
  await platform.apply([imageManifest("ubuntu")]);
  for (let index = 0; index < 6; index += 1) {
    const disk = index % 2 === 0 ? blankDisk(`vm-${index}`) : diskOfImage(`vm-${index}`, "ubuntu");
    await platform.apply([disk, machine(`vm-${index}`, [`vm-${index}`])]);
  }
  await center.clock.advance(1_800_000);
  await platform.virtualMachines.delete("vm-0");
  await center.clock.advance(600_000);
  expect(center.violations()).toEqual([]);
  return center.log.lines().join("\n");
}

it("gives the same log, byte for byte, for the same seed", async () => {
  const first = await day({ seed: 11 });
  expect(first).toContain('"event":"guest-booted"');
  expect(first).toContain('"event":"call-failed"');
  expect(first).toContain('"event":"host-ready"');
  for (const line of first.split("\n")) expect(JSON.parse(line)).toHaveProperty("time");
  expect(await day({ seed: 11 })).toBe(first);
  expect(await day({ seed: 12 })).not.toBe(first);
});

it("gives the same log for the same seed with a cluster", { timeout: 30_000 }, async () => {
  const first = await day({ seed: "cluster", placement: "delegated" });
  expect(await day({ seed: "cluster", placement: "delegated" })).toBe(first);
});
