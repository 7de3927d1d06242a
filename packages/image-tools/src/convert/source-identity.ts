import { createHash } from "node:crypto";
import { stat } from "node:fs/promises";
import { HEAD_SAMPLE_BYTES } from "../detect/detector.ts";
import type { RandomAccessReader } from "../io/random-access-reader.ts";

/**
 * A name for exactly what a path or URL holds now, by which a later run knows that it is the same;
 * `undefined` where nothing tells versions apart.
 */
export async function sourceIdentity(
  location: string,
  reader: RandomAccessReader & { readonly validator?: string },
): Promise<string | undefined> {
  const version = reader.validator ?? (await fileVersion(location));
  if (version === undefined) return undefined;
  const head = await reader.read(0, Math.min(reader.sizeBytes, HEAD_SAMPLE_BYTES));
  return createHash("sha256")
    .update(JSON.stringify([location, version, reader.sizeBytes]))
    .update(head)
    .digest("hex");
}

async function fileVersion(location: string): Promise<string | undefined> {
  const path = location.startsWith("file:") ? new URL(location) : location;
  const status = await stat(path).catch(() => undefined);
  return status === undefined ? undefined : `${status.ino} ${status.size} ${status.mtimeMs}`;
}
