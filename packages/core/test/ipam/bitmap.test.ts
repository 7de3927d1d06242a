import fc from "fast-check";
import { expect, it } from "vitest";
import { Bitmap } from "../../src/ipam/bitmap.ts";

it("finds the same bits as a search through all of them", () => {
  const sizes = fc.constantFrom(1, 31, 32, 33, 64, 1023, 1024, 1025, 1100);
  const steps = fc.array(fc.tuple(fc.boolean(), fc.nat(1099), fc.nat(1099)), { maxLength: 60 });
  fc.assert(
    fc.property(sizes, fc.boolean(), steps, (size, full, changes) => {
      const bitmap = new Bitmap(size);
      const naive = Array.from({ length: size }, () => full);
      if (full) naive.forEach((_, index) => bitmap.set(index, true));
      for (const [value, index, from] of changes) {
        naive[index % size] = value;
        bitmap.set(index % size, value);
        const found = naive.indexOf(false, from % size);
        expect(bitmap.nextClear(from % size)).toBe(found < 0 ? undefined : found);
      }
    }),
  );
});
