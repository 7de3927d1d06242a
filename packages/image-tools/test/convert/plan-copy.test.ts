import fc from "fast-check";
import { expect, test } from "vitest";
import { COPY_PIECE_BYTES, planCopy, type CopyStep } from "../../src/convert/plan-copy.ts";
import type { DiskSegment } from "../../src/disk/disk-segment.ts";

const segment = fc.oneof(
  fc.record({
    type: fc.constant("hole" as const),
    length: fc.integer({ min: 1, max: 9 * 1024 * 1024 }),
  }),
  fc.record({
    type: fc.constant("data" as const),
    length: fc.integer({ min: 1, max: 5 * 1024 * 1024 }),
    hostOffset: fc.nat({ max: 2 ** 31 }),
  }),
);

async function* inTables(
  segments: readonly DiskSegment[],
): AsyncGenerator<readonly DiskSegment[], void, void> {
  for (let at = 0; at < segments.length; at += 3) yield segments.slice(at, at + 3);
}

async function collect(steps: AsyncIterable<CopyStep>): Promise<readonly CopyStep[]> {
  const collected: CopyStep[] = [];
  for await (const step of steps) collected.push(step);
  return collected;
}

test("steps are aligned, without gaps, and keep every byte's place", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(segment, { maxLength: 12 }), fc.boolean(), async (all, holes) => {
      const steps = await collect(planCopy(inTables(all), { writeHoles: holes }));
      let position = 0;
      for (const step of steps) {
        expect(step.start).toBe(position);
        expect(step.start % COPY_PIECE_BYTES).toBe(0);
        position += step.length;
        if (step.type === "hole") {
          expect(holes).toBe(false);
          continue;
        }
        expect(step.length).toBeLessThanOrEqual(COPY_PIECE_BYTES);
        expect(step.segments.reduce((sum, { length }) => sum + length, 0)).toBe(step.length);
      }
      expect(position).toBe(all.reduce((sum, { length }) => sum + length, 0));

      // Where each byte of data comes from is the same before and after.
      const origins = (list: readonly DiskSegment[], from: number): readonly string[] => {
        let at = from;
        return list.flatMap((piece) => {
          const start = at;
          at += piece.length;
          return piece.type === "data" ? [`${start - piece.hostOffset}`] : [];
        });
      };
      const before = new Set(origins(all, 0));
      const after = new Set(
        steps.flatMap((step) => (step.type === "piece" ? origins(step.segments, step.start) : [])),
      );
      expect(after).toEqual(before);
    }),
  );
});

test("a compressed block across the end of a piece is refused", async () => {
  const blockBytes = 4 * COPY_PIECE_BYTES;
  const compressed: DiskSegment = {
    type: "compressed",
    length: blockBytes,
    hostOffset: 0,
    hostLength: 10,
    codec: "zlib",
    blockBytes,
  };
  await expect(collect(planCopy(inTables([compressed])))).rejects.toMatchObject({
    code: "IMAGE_UNSUPPORTED",
  });
});
