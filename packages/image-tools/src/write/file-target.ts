import { open, rename, rm, type FileHandle } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { ImageError } from "../image-error.ts";
import type { ImageTarget } from "./image-target.ts";
import { writeFully } from "./write-fully.ts";

/** Options of {@link createFileTarget}. */
export interface FileTargetOptions {
  /** Permissions of the file. Default: 0o640. */
  readonly mode?: number | undefined;
}

/**
 * Starts to write a file that will be at `path`: in a new file beside it, which replaces `path` at
 * once when it is committed. A symbolic link at `path` is replaced, not followed.
 *
 * @throws ImageError `IMAGE_IO`.
 */
export async function createFileTarget(
  path: string,
  options: FileTargetOptions = {},
): Promise<ImageTarget> {
  const unique = `${process.pid}-${process.hrtime.bigint().toString(36)}`;
  const name = `.${basename(path)}.${unique}.partial`;
  const workPath = join(dirname(path), name);
  const file = await open(workPath, "wx+", options.mode ?? 0o640).catch((cause: unknown) => {
    throw new ImageError("IMAGE_IO", `cannot create a file in "${dirname(path)}"`, { cause });
  });
  return fileTarget(file, { path, workPath, keepOnFailure: () => false });
}

/** What a {@link fileTarget} is made of. */
export interface FileTargetInput {
  readonly path: string;
  readonly workPath: string;
  /** Whether an unfinished file stays, to be gone on with later. */
  readonly keepOnFailure: () => boolean;
}

/** A target over an open file that becomes `path` when it is committed. */
export function fileTarget(file: FileHandle, input: FileTargetInput): ImageTarget {
  const { path, workPath, keepOnFailure } = input;
  let committed = false;
  return {
    fd: file.fd,
    workPath,
    zeroed: true,
    write: (bytes, position) => writeFully(file, bytes, position, path),
    finish: async (sizeBytes) => {
      try {
        await file.truncate(sizeBytes);
        await file.sync();
      } catch (cause) {
        throw new ImageError("IMAGE_IO", `cannot store "${path}"`, { cause });
      }
    },
    commit: async () => {
      try {
        await rename(workPath, path);
        committed = true;
        await syncDirectory(dirname(path));
      } catch (cause) {
        throw new ImageError("IMAGE_IO", `cannot publish "${path}"`, { cause });
      }
    },
    [Symbol.asyncDispose]: async () => {
      await file.close();
      if (!committed && !keepOnFailure()) await rm(workPath, { force: true });
    },
  };
}

async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, "r");
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}
