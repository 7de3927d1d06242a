import { createHash, randomBytes } from "node:crypto";
import { createReadStream } from "node:fs";
import { mkdir, mkdtemp, readdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";

/** An image in the cache. Read only: give guests an overlay on it. */
export interface CachedImage {
  readonly path: string;
  readonly sizeBytes: number;
  /** SHA-256 of the file, in lower-case hex. */
  readonly sha256: string;
}

const IMAGE = "image.qcow2";
const RECORD = "image.json";
const UNFINISHED = ".unfinished-";
const UNFINISHED_MAXIMUM_AGE_MILLISECONDS = 60 * 60 * 1000;

/**
 * Gives the image with this key, and builds it first where the cache does not hold it whole.
 *
 * An image appears in the cache in one step. Of several builders at once each builds, and the first one
 * that is ready decides.
 *
 * @param build writes the image to `path`; `workDirectory` is private to it and removed afterwards.
 */
export async function cachedImage(
  cacheDirectory: string,
  key: string,
  build: (path: string, workDirectory: string) => Promise<void>,
): Promise<CachedImage> {
  const directory = join(cacheDirectory, key);
  const cached = await readCachedImage(directory);
  if (cached !== undefined) return cached;
  await mkdir(cacheDirectory, { recursive: true });
  await removeUnfinished(cacheDirectory);
  const unfinished = await mkdtemp(join(cacheDirectory, UNFINISHED));
  try {
    const result = join(unfinished, "result");
    const workDirectory = join(unfinished, "work");
    await Promise.all([mkdir(result), mkdir(workDirectory)]);
    const path = join(result, IMAGE);
    await build(path, workDirectory);
    const record = { sizeBytes: (await stat(path)).size, sha256: await sha256Of(path) };
    await writeFile(join(result, RECORD), `${JSON.stringify(record)}\n`);
    return await publish(result, directory);
  } finally {
    await rm(unfinished, { recursive: true, force: true });
  }
}

// Damaged counts as absent.
async function readCachedImage(directory: string): Promise<CachedImage | undefined> {
  const path = join(directory, IMAGE);
  try {
    const record = JSON.parse(await readFile(join(directory, RECORD), "utf8")) as CachedImage;
    const [{ size }, sha256] = [await stat(path), await sha256Of(path)];
    if (record.sizeBytes !== size || record.sha256 !== sha256) return undefined;
    return { path, sizeBytes: size, sha256 };
  } catch (error) {
    if (error instanceof SyntaxError || (error as NodeJS.ErrnoException).code === "ENOENT")
      return undefined;
    throw error;
  }
}

async function publish(result: string, directory: string): Promise<CachedImage> {
  for (let attempt = 0; attempt < 5; attempt++) {
    try {
      await rename(result, directory);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code !== "ENOTEMPTY" && code !== "EEXIST") throw error;
    }
    const published = await readCachedImage(directory);
    if (published !== undefined) return published;
    // Damaged: out of the way in one step as well, as another builder may be about to do the same.
    const damaged = `${result}-${randomBytes(4).toString("hex")}`;
    await rename(directory, damaged).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== "ENOENT") throw error;
    });
  }
  throw new Error(`The image could not be published as ${directory}: others keep damaging it.`);
}

async function removeUnfinished(cacheDirectory: string): Promise<void> {
  const entries = await readdir(cacheDirectory);
  for (const entry of entries.filter((name) => name.startsWith(UNFINISHED))) {
    const path = join(cacheDirectory, entry);
    const modified = await stat(path).then(
      ({ mtimeMs }) => mtimeMs,
      () => Date.now(),
    );
    if (Date.now() - modified > UNFINISHED_MAXIMUM_AGE_MILLISECONDS) {
      await rm(path, { recursive: true, force: true });
    }
  }
}

async function sha256Of(path: string): Promise<string> {
  const hash = createHash("sha256");
  await pipeline(createReadStream(path), hash);
  return hash.digest("hex");
}
