import * as fc from "fast-check";
import { expect, it } from "vitest";
import { type Shape, SHAPES } from "./support/fixtures.ts";
import { act, type Action, actions, settle } from "./support/random-life.ts";
import { openWorld } from "./support/world.ts";
import { wrongsAtOnce, wrongsInTheEnd } from "./support/wrongs.ts";

const ENDPOINTS: Readonly<Record<Shape, readonly string[]>> = {
  explicit: ["node-1", "node-2", "node-3", "storage", "images"],
  delegated: ["cluster", "storage", "images"],
};
/** More of it: `RANDOM_RUNS=200 RANDOM_SEED=7 npx vitest run test/random.test.ts`. */
const runs = Number(process.env["RANDOM_RUNS"] ?? 15);

async function live(placement: Shape, life: readonly Action[]): Promise<void> {
  await using world = await openWorld({ placement, guests: { "*/b": { ignoresShutDown: true } } });
  const undo: Disposable[] = [];
  await settle(world);
  expect(world.center.guests()).toHaveLength(3);
  for (const action of life) {
    await act(world, action, undo);
    expect(await wrongsAtOnce(world), JSON.stringify(action)).toEqual([]);
  }
  undo.forEach((each) => each[Symbol.dispose]());
  for (const host of ["node-1", "node-2", "node-3"]) world.center.host(host).powerOn();
  for (let hour = 0; hour < 4; hour += 1) {
    await world.center.clock.advance(3_600_000);
    expect(await wrongsAtOnce(world)).toEqual([]);
  }
  expect(await wrongsInTheEnd(world)).toEqual([]);
}

it.each(SHAPES)(
  "whatever happens: no two owners, no disk twice, no guest without record, no silent operation (%s)",
  { timeout: 300_000 },
  async (shape) => {
    await fc.assert(
      fc.asyncProperty(actions(ENDPOINTS[shape]), (life) => live(shape, life)),
      { numRuns: runs, seed: Number(process.env["RANDOM_SEED"] ?? 1) },
    );
  },
);
