import { mkdir, mkdtemp, readdir, readFile, rm, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { cachedImage } from "../../src/lab/image-cache.ts";

let cache: string;
beforeEach(async () => {
  cache = await mkdtemp(join(tmpdir(), "polyvisor-test-"));
});
afterEach(() => rm(cache, { recursive: true, force: true }));

const builder = (content: string) =>
  vi.fn<(path: string, workDirectory: string) => Promise<void>>(async (path, workDirectory) => {
    await writeFile(join(workDirectory, "scratch"), content);
    await writeFile(path, content);
  });

test("an image is built once and leaves nothing else in the cache", async () => {
  const build = builder("image");
  const first = await cachedImage(cache, "key", build);
  expect(first).toEqual({
    path: join(cache, "key/image.qcow2"),
    sizeBytes: 5,
    sha256: "6105d6cc76af400325e94d588ce511be5bfdbb73b437dc51eca43917d7a43e3d",
  });
  expect(await cachedImage(cache, "key", build)).toEqual(first);
  expect(build).toHaveBeenCalledTimes(1);
  expect(await readdir(cache)).toEqual(["key"]);
});

test("of several builders at once all get the image that was published first", async () => {
  const contents = ["one", "two", "three", "four"];
  const images = await Promise.all(
    contents.map((content) => cachedImage(cache, "key", builder(content))),
  );
  expect(new Set(images.map(({ sha256 }) => sha256)).size).toBe(1);
  expect(contents).toContain(await readFile(join(cache, "key/image.qcow2"), "utf8"));
  expect(await readdir(cache)).toEqual(["key"]);
});

test.each([
  ["the image", "image.qcow2", "imagE"],
  ["the image's end", "image.qcow2", "imag"],
  ["the record", "image.json", "{"],
])("damage to %s is found and the image built again", async (_case, file, damage) => {
  const build = builder("image");
  const first = await cachedImage(cache, "key", build);
  await writeFile(join(cache, "key", file), damage);
  expect(await cachedImage(cache, "key", build)).toEqual(first);
  expect(build).toHaveBeenCalledTimes(2);
  expect(await readFile(first.path, "utf8")).toBe("image");
  expect(await readdir(cache)).toEqual(["key"]);
});

test("a build that fails leaves nothing, and the next one works", async () => {
  const failure = new Error("disk full");
  const broken = async (path: string): Promise<void> => {
    await writeFile(path, "half");
    throw failure;
  };
  await expect(cachedImage(cache, "key", broken)).rejects.toBe(failure);
  expect(await readdir(cache)).toEqual([]);
  expect((await cachedImage(cache, "key", builder("image"))).sizeBytes).toBe(5);
});

test("what a killed build left is removed after an hour, not earlier", async () => {
  const [old, recent] = [join(cache, ".unfinished-old"), join(cache, ".unfinished-recent")];
  await Promise.all([mkdir(old), mkdir(recent)]);
  const longAgo = Date.now() / 1000 - 2 * 60 * 60;
  await utimes(old, longAgo, longAgo);
  await cachedImage(cache, "key", builder("image"));
  expect((await readdir(cache)).sort()).toEqual([".unfinished-recent", "key"]);
});
