import { execFile } from "node:child_process";
import { mkdir, readFile, symlink, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import fc from "fast-check";
import { pack, type Header } from "tar-stream";
import { describe, expect, test } from "vitest";
import { parsePaxRecords } from "../src/tar/pax-records.ts";
import { isImageError, memoryReader, openTar } from "../src/index.ts";
import { collectBytes } from "./support/collect.ts";
import { noise } from "./support/made-images.ts";
import { temporaryDirectory } from "./support/temporary-directory.ts";

const content = noise(3000);

async function archive(
  ...entries: readonly (Partial<Header> & { readonly name: string } & {
    readonly content?: Uint8Array;
  })[]
): Promise<Buffer> {
  const packer = pack();
  for (const { content: bytes = Buffer.alloc(0), ...header } of entries) {
    packer.entry({ ...header, size: bytes.length }, Buffer.from(bytes));
  }
  packer.finalize();
  return collectBytes(packer as AsyncIterable<Uint8Array>);
}

/** Sets the checksum of the header at `offset` after it was changed. */
function seal(bytes: Buffer, offset = 0): Buffer {
  bytes.fill(" ", offset + 148, offset + 156);
  let sum = 0;
  for (const byte of bytes.subarray(offset, offset + 512)) sum += byte;
  bytes.write(`${sum.toString(8).padStart(6, "0")}\0 `, offset + 148, "latin1");
  return bytes;
}

const open = (bytes: Uint8Array): ReturnType<typeof openTar> => openTar(memoryReader(bytes));

test("members are read where they lie", async () => {
  const second = noise(700, 2);
  const tar = await open(
    await archive(
      { name: "./dir", type: "directory" },
      { name: "./dir/a.img", content },
      { name: "b", content: second },
      { name: "empty" },
    ),
  );
  expect(tar.members.map(({ name, type, sizeBytes }) => [name, type, sizeBytes])).toEqual([
    ["dir", "directory", 0],
    ["dir/a.img", "file", 3000],
    ["b", "file", 700],
    ["empty", "file", 0],
  ]);
  const reader = tar.open("dir/a.img");
  expect((await reader.read(0, 3000)).equals(content)).toBe(true);
  expect((await reader.read(2999, 1)).equals(content.subarray(2999))).toBe(true);
  await expect(reader.read(2999, 2)).rejects.toMatchObject({ code: "IMAGE_TRUNCATED" });
  expect((await tar.open("b").read(0, 700)).equals(second)).toBe(true);
});

test.each(["gnu", "posix", "ustar", "v7", "oldgnu"])(
  "archives of GNU tar in format %s are understood",
  async (format) => {
    await using directory = await temporaryDirectory();
    const name = format === "v7" ? "short" : `${"long/".repeat(25)}${"n".repeat(99)}`;
    const path = join(directory.path, "in", name);
    await mkdir(join(path, ".."), { recursive: true });
    await writeFile(path, content);
    const tarPath = join(directory.path, "x.tar");
    const args = ["-cf", tarPath, `--format=${format}`, "-C", join(directory.path, "in"), name];
    await promisify(execFile)("tar", args);
    const tar = await open(await readFile(tarPath));
    expect((await tar.open(name).read(0, 3000)).equals(content)).toBe(true);
  },
);

describe("refused:", () => {
  test.each(["gnu", "posix"])("sparse members of GNU tar in format %s", async (format) => {
    await using directory = await temporaryDirectory();
    const path = join(directory.path, "disk");
    await writeFile(path, content);
    await truncate(path, 4 * 1024 * 1024);
    const tarPath = join(directory.path, "x.tar");
    const args = ["-cSf", tarPath, `--format=${format}`, "-C", directory.path, "disk"];
    await promisify(execFile)("tar", args);
    const tar = await open(await readFile(tarPath));
    const [member] = tar.members;
    expect(member?.type).toBe("sparse");
    expect(() => tar.open(member?.name ?? "")).toThrow(/sparse member/);
  });

  test("symbolic links, hard links and devices", async () => {
    await using directory = await temporaryDirectory();
    await symlink("/etc/passwd", join(directory.path, "disk"));
    const tarPath = join(directory.path, "x.tar");
    await promisify(execFile)("tar", ["-cf", tarPath, "-C", directory.path, "disk"]);
    const linked = await open(await readFile(tarPath));
    expect(() => linked.open("disk")).toThrow(/is a link/);
    for (const type of ["link", "character-device", "fifo"] as const) {
      const tar = await open(await archive({ name: "disk", type, linkname: "x" }));
      expect(() => tar.open("disk")).toThrow(/is a (link|special)/);
    }
  });

  test.each(["../x", "/etc/passwd", "a/../../x", "a\\b"])("the name %s", async (name) => {
    await expect(open(await archive({ name, content }))).rejects.toMatchObject({
      code: "IMAGE_UNSAFE",
    });
  });

  test("a PAX name that leads outside of an innocent header", async () => {
    const bytes = await archive({ name: "disk", content, pax: { path: "../../etc/x" } });
    await expect(open(bytes)).rejects.toMatchObject({ code: "IMAGE_UNSAFE" });
  });

  test("a name that is there twice, also as ./name", async () => {
    const tar = await open(await archive({ name: "a", content }, { name: "./a", content }));
    expect(() => tar.open("a")).toThrow(/more than once/);
    expect(() => tar.open("b")).toThrow(/no member/);
  });

  test("a wrong checksum and impossible sizes", async () => {
    const good = await archive({ name: "a", content });
    const flipped = Buffer.from(good);
    flipped[0] = 0x62;
    await expect(open(flipped)).rejects.toMatchObject({ code: "IMAGE_CORRUPT" });
    for (const field of [
      "-0000000001\0",
      "00000000009\0",
      "\xff".repeat(12),
      "\x80".padEnd(12, "\xff"),
    ]) {
      const changed = Buffer.from(good);
      changed.write(field, 124, "latin1");
      await expect(open(seal(changed))).rejects.toMatchObject({ code: "IMAGE_CORRUPT" });
    }
    const beyond = Buffer.from(good);
    beyond.write("77777777777\0", 124, "latin1");
    await expect(open(seal(beyond))).rejects.toMatchObject({ code: "IMAGE_TRUNCATED" });
  });

  test("every truncation", async () => {
    const bytes = await archive({ name: "a", content }, { name: "b", content });
    const end = 2 * (512 + 3072);
    for (let length = 0; length < end + 512; length += 100) {
      await expect(open(bytes.subarray(0, length))).rejects.toMatchObject({
        code: "IMAGE_TRUNCATED",
      });
    }
  });

  test("malformed PAX records", () => {
    const parse = (text: string): unknown => parsePaxRecords(Buffer.from(text));
    expect(parse("12 path=abc\n9 size=5\n13 path=abcd\n")).toEqual(
      new Map([
        ["path", "abcd"],
        ["size", "5"],
      ]),
    );
    for (const text of [
      "0 a=b\n",
      "99 a=b\n",
      "6 a=b",
      "x a=b\n",
      " a=b\n",
      "5 a=b\n",
      "6 ab \n",
    ]) {
      expect(() => parse(text), text).toThrow(/malformed/);
    }
  });
});

test("damaged archives give typed errors or members inside of the archive", async () => {
  const good = await archive({ name: "a".repeat(150), content }, { name: "b", content });
  const damage = fc.array(fc.tuple(fc.nat(good.length - 1), fc.nat(255)), { maxLength: 4 });
  await fc.assert(
    fc.asyncProperty(damage, fc.nat(good.length), async (changes, length) => {
      const bytes = Buffer.from(good);
      for (const [at, value] of changes) bytes[at] = value;
      const size = changes.length === 0 ? length : bytes.length;
      try {
        const { members } = await open(bytes.subarray(0, size));
        for (const { offset, sizeBytes } of members) {
          expect(offset + sizeBytes).toBeLessThanOrEqual(size);
        }
      } catch (error) {
        if (!isImageError(error)) throw error;
      }
    }),
    { numRuns: 500 },
  );
});
