import { ImageError, isImageError } from "../image-error.ts";

/** Whether a file operation failed with this `errno` name. */
export function hasErrno(error: unknown, ...names: readonly string[]): boolean {
  return names.includes((error as NodeJS.ErrnoException | undefined)?.code ?? "");
}

/**
 * Turns a failure of the file system into ImageError `IMAGE_IO`; every other error, such as the
 * reason of an aborted signal, passes unchanged.
 */
export function translateStorageError(error: unknown, subject: string): unknown {
  const { syscall, code } = (error ?? {}) as NodeJS.ErrnoException;
  if (isImageError(error) || syscall === undefined) return error;
  const reason = code === "ENOSPC" || code === "EDQUOT" ? "the storage is full" : String(code);
  return new ImageError("IMAGE_IO", `${subject} failed: ${reason}`, { cause: error });
}
