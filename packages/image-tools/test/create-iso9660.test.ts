import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import fc from "fast-check";
import { expect, test } from "vitest";
import { createIso9660, type Iso9660File } from "../src/index.ts";
import { noise } from "./support/made-images.ts";
import { runTool } from "./support/run-tool.ts";
import { temporaryDirectory } from "./support/temporary-directory.ts";

async function withDisc<Result>(
  image: Uint8Array,
  use: (path: string) => Promise<Result>,
): Promise<Result> {
  await using directory = await temporaryDirectory();
  const path = join(directory.path, "disc.iso");
  await writeFile(path, image);
  return await use(path);
}

async function listNames(path: string, extension: "-J" | "-R"): Promise<readonly string[]> {
  const listing = await runTool("isoinfo", "-i", path, extension, "-f");
  return listing
    .toString()
    .split("\n")
    .filter((line) => line.startsWith("/"))
    .map((line) => line.slice(1))
    .toSorted();
}

test.each(["-J", "-R"] as const)(
  "isoinfo %s lists and extracts what was written",
  { timeout: 300_000 },
  async (extension) => {
    const name = fc
      .stringMatching(/^[A-Za-z0-9_][-A-Za-z0-9_. ]{0,40}[A-Za-z0-9]$/)
      .filter((text) => !text.includes(".."));
    const file = fc.record({
      name,
      content: fc.oneof(
        fc.string({ maxLength: 3000 }),
        fc.integer({ min: 0, max: 9000 }).map((length) => new Uint8Array(noise(length))),
      ),
    });
    const files = fc.uniqueArray(file, { maxLength: 60, selector: (entry) => entry.name });
    await fc.assert(
      fc.asyncProperty(files, async (written) => {
        const image = createIso9660({ volumeId: "DATA", files: written });
        await withDisc(image, async (path) => {
          const names = written.map((entry) => entry.name).toSorted();
          expect(await listNames(path, extension)).toEqual(names);
          for (const entry of written.slice(0, 3)) {
            const args = ["-i", path, extension, "-x", `/${entry.name}`];
            const extracted = await runTool("isoinfo", ...args);
            expect(extracted.equals(Buffer.from(entry.content as Uint8Array))).toBe(true);
          }
        });
      }),
      { numRuns: 15 },
    );
  },
);

test("a cloud-init seed has its label and names in every reader", async () => {
  const image = createIso9660({
    volumeId: "cidata",
    files: [
      { name: "user-data", content: "#cloud-config\n" },
      { name: "meta-data", content: "instance-id: i-1\n" },
    ],
  });
  await withDisc(image, async (path) => {
    const descriptors = (await runTool("isoinfo", "-d", "-i", path)).toString();
    expect(descriptors).toContain("Volume id: cidata");
    expect(descriptors).toMatch(/Joliet with UCS level 3 found/);
    expect(descriptors).toMatch(/Rock Ridge signatures .*found/);
    expect(await listNames(path, "-J")).toEqual(["meta-data", "user-data"]);
    expect(await listNames(path, "-R")).toEqual(["meta-data", "user-data"]);
    const short = (await runTool("isoinfo", "-f", "-i", path)).toString();
    expect(short.split("\n").toSorted().filter(Boolean)).toEqual(["/META_DAT.;1", "/USER_DAT.;1"]);
    const label = await runTool("isoinfo", "-i", path, "-J", "-x", "/meta-data");
    expect(label.toString()).toBe("instance-id: i-1\n");
  });
});

test("a full directory spans several sectors", { timeout: 60_000 }, async () => {
  const files: Iso9660File[] = Array.from({ length: 1000 }, (_, index) => ({
    name: `configuration-file-number-${index}.yaml`,
    content: String(index),
  }));
  await withDisc(createIso9660({ volumeId: "many", files }), async (path) => {
    expect(await listNames(path, "-J")).toHaveLength(1000);
    expect(await listNames(path, "-R")).toHaveLength(1000);
    const args = ["-i", path, "-R", "-x", "/configuration-file-number-777.yaml"];
    expect((await runTool("isoinfo", ...args)).toString()).toBe("777");
  });
});

test("equal input gives equal bytes, another date other ones", () => {
  const input = { volumeId: "cidata", files: [{ name: "a", content: "b" }] };
  const first = Buffer.from(createIso9660(input));
  expect(first.equals(createIso9660(input))).toBe(true);
  const dated = createIso9660({ ...input, date: new Date("2026-01-02T03:04:05Z") });
  expect(first.equals(dated)).toBe(false);
  expect(Buffer.from(dated).includes("2026010203040500")).toBe(true);
});

test.each([
  ["empty label", { volumeId: "", files: [] }, "IMAGE_INVALID_ARGUMENT"],
  ["long label", { volumeId: "a".repeat(17), files: [] }, "IMAGE_INVALID_ARGUMENT"],
  ["slash", { volumeId: "a", files: [{ name: "a/b", content: "" }] }, "IMAGE_INVALID_ARGUMENT"],
  ["dots", { volumeId: "a", files: [{ name: "..", content: "" }] }, "IMAGE_INVALID_ARGUMENT"],
  ["newline", { volumeId: "a", files: [{ name: "a\n", content: "" }] }, "IMAGE_INVALID_ARGUMENT"],
  [
    "long name",
    { volumeId: "a", files: [{ name: "a".repeat(65), content: "" }] },
    "IMAGE_INVALID_ARGUMENT",
  ],
  [
    "equal names",
    {
      volumeId: "a",
      files: [
        { name: "x", content: "1" },
        { name: "x", content: "2" },
      ],
    },
    "IMAGE_INVALID_ARGUMENT",
  ],
  [
    "invalid date",
    { volumeId: "a", files: [], date: new Date(Number.NaN) },
    "IMAGE_INVALID_ARGUMENT",
  ],
  [
    "too much content",
    { volumeId: "a", files: [{ name: "x", content: new Uint8Array(64 * 1024 * 1024 + 1) }] },
    "IMAGE_TOO_LARGE",
  ],
  [
    "too many files",
    {
      volumeId: "a",
      files: Array.from({ length: 1001 }, (_, i) => ({ name: `${i}`, content: "" })),
    },
    "IMAGE_TOO_LARGE",
  ],
] as const)("refuses: %s", (_name, input, code) => {
  expect(() => createIso9660(input)).toThrow(expect.objectContaining({ code }));
});
