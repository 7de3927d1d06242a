import fc from "fast-check";
import { expect, test } from "vitest";
import { cpioArchive, type CpioEntry } from "../../src/lab/cpio-archive.ts";

interface ReadEntry {
  readonly path: string;
  readonly mode: number;
  readonly bytes: Buffer;
}

function readCpioArchive(archive: Buffer): readonly ReadEntry[] {
  const entries: ReadEntry[] = [];
  const align = (offset: number): number => Math.ceil(offset / 4) * 4;
  for (let offset = 0; offset < archive.length;) {
    expect(archive.toString("latin1", offset, offset + 6)).toBe("070701");
    const field = (index: number): number => {
      const start = offset + 6 + index * 8;
      return Number.parseInt(archive.toString("latin1", start, start + 8), 16);
    };
    const [mode, size, nameSize] = [field(1), field(6), field(11)];
    const name = archive.toString("utf8", offset + 110, offset + 110 + nameSize - 1);
    const body = align(offset + 110 + nameSize);
    if (name === "TRAILER!!!") return entries;
    entries.push({ path: name, mode, bytes: archive.subarray(body, body + size) });
    offset = align(body + size);
  }
  throw new Error("The archive has no trailer.");
}

const path = fc.string({ minLength: 1, unit: fc.constantFrom("a", "b", "é", "-", "_", ".") });

function bodyOf({ content }: CpioEntry): Buffer {
  if (content.kind === "file") return Buffer.from(content.bytes);
  return Buffer.from(content.kind === "symbolic-link" ? content.target : "");
}

test("a reader of the format gets back what was written", () => {
  const content = fc.oneof(
    fc.uint8Array().map((bytes) => ({ kind: "file" as const, bytes })),
    path.map((target) => ({ kind: "symbolic-link" as const, target })),
    fc.constant({ kind: "directory" as const }),
  );
  const entry = fc.record({ path, mode: fc.constantFrom(0o644, 0o755, 0o600), content });
  fc.assert(
    fc.property(fc.array(entry), (entries: CpioEntry[]) => {
      const read = readCpioArchive(cpioArchive(entries));
      expect(read.map((one) => one.path)).toEqual(entries.map((one) => one.path));
      entries.forEach((one, index) => {
        const { mode, bytes } = read[index] as ReadEntry;
        expect(mode & 0o7777).toBe(one.mode);
        expect(bytes).toEqual(bodyOf(one));
      });
    }),
  );
});

test("absolute and empty paths are refused", () => {
  for (const wrong of ["/etc", ""]) {
    const entry: CpioEntry = { path: wrong, mode: 0o755, content: { kind: "directory" } };
    expect(() => cpioArchive([entry])).toThrow(RangeError);
  }
});
