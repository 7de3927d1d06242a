import { expect, test } from "vitest";
import { masterBootRecord } from "../../src/lab/boot-disk.ts";

test("the master boot record holds the code, one active partition at 1 MiB and the signature", () => {
  const code = Buffer.alloc(440, 0x90);
  const record = masterBootRecord(code, 129_024);
  expect(record).toHaveLength(512);
  expect(record.subarray(0, 440)).toEqual(code);
  expect(record[446]).toBe(0x80);
  expect(record[450]).toBe(0x0e);
  expect(record.readUInt32LE(454) * 512).toBe(1024 * 1024);
  expect(record.readUInt32LE(458)).toBe(129_024);
  expect(record.subarray(462, 510)).toEqual(Buffer.alloc(48));
  expect(record.toString("hex", 510)).toBe("55aa");
});

test("code that would reach into the partition table is refused", () => {
  expect(() => masterBootRecord(Buffer.alloc(447), 1)).toThrow(RangeError);
});
