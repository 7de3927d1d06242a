import fc from "fast-check";
import { expect, test } from "vitest";
import { memoryReader, rawSparseStream } from "../src/index.ts";
import { mergeExtents } from "../src/sparse/merge-extents.ts";
import type { SparseExtent } from "../src/index.ts";
import { collectExtents, collectSparse } from "./support/collect.ts";
import { noise } from "./support/made-images.ts";

const GRANULE = 64 * 1024;

test("streams any layout of zero and data granules exactly", async () => {
  const granule = fc.constantFrom("zero", "data", "last byte");
  const layout = fc.tuple(
    fc.array(granule, { maxLength: 50 }),
    fc.integer({ min: 0, max: 70_000 }),
  );
  await fc.assert(
    fc.asyncProperty(layout, async ([granules, extraBytes]) => {
      const disk = Buffer.alloc(granules.length * GRANULE + extraBytes);
      granules.forEach((kind, index) => {
        if (kind === "data") noise(GRANULE).copy(disk, index * GRANULE);
        if (kind === "last byte") disk[(index + 1) * GRANULE - 1] = 1;
      });
      const content = await collectSparse(rawSparseStream(memoryReader(disk)));
      expect(content.equals(disk)).toBe(true);
    }),
    { numRuns: 40 },
  );
});

test("zero granules are holes and others are not, however the input is cut", async () => {
  const disk = Buffer.alloc(4 * GRANULE);
  disk[GRANULE] = 1;
  async function* cut(): AsyncGenerator<SparseExtent> {
    for (let start = 0; start < disk.length; start += 16 * 1024) {
      yield { type: "data", bytes: disk.subarray(start, start + 16 * 1024) };
    }
  }
  let holes = 0;
  for await (const extent of mergeExtents(cut()))
    if (extent.type === "hole") holes += extent.length;
  expect(holes).toBe(4 * GRANULE - 16 * 1024);
  const whole = await collectExtents(rawSparseStream(memoryReader(disk)));
  expect(whole.map((extent) => extent.type)).toEqual(["hole", "data", "hole"]);
});

test("an aborted signal ends the stream with its reason", async () => {
  const controller = new AbortController();
  const stream = rawSparseStream(memoryReader(noise(8 * 1024 * 1024)), {
    signal: controller.signal,
  });
  const reason = new Error("stop");
  await expect(async () => {
    for await (const extent of stream) {
      expect(extent.type).toBe("data");
      controller.abort(reason);
    }
  }).rejects.toBe(reason);
});
