import { expect, it } from "vitest";
import { GuardedHypervisor } from "../support/guarded-hypervisor.ts";
import { wrongsOf } from "../support/invariants.ts";
import { extents, IMAGE_URL } from "../support/manifests.ts";
import { actAtRandom, calmDown, Chance } from "../support/random-actions.ts";
import { World } from "../support/world.ts";

const SEEDS = Array.from({ length: 40 }, (_, index) => index + 1);
const ACTIONS = 80;

it.each(SEEDS)("ends well, whatever happens (seed %d)", { timeout: 60_000 }, async (seed) => {
  const chance = new Chance(seed);
  const options = {
    hosts: ["node-1", "node-2"],
    memoryBytes: 16 * 2 ** 30,
    agent: true,
    hotplug: true,
    migration: true,
  };
  const hypervisor = new GuardedHypervisor(options, () => chance.below(3));
  await using world = await World.open({ hypervisor });
  world.images.serve(IMAGE_URL, { extents: extents() });
  for (let count = 0; count < ACTIONS; count += 1) {
    await actAtRandom(world, chance);
    hypervisor.check();
  }
  await calmDown(world);
  expect(hypervisor.violations).toEqual([]);
  expect(await wrongsOf(world)).toEqual([]);
});
