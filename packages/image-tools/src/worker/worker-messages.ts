import { ImageError, isImageError } from "../image-error.ts";
import type { ImageErrorCode } from "../image-error-codes.ts";
import type { CopyJob, CopyResult } from "./copy-job.ts";

/** What a thread is asked. */
export interface WorkerRequest {
  readonly id: number;
  readonly job: CopyJob;
}

/** What a thread answers. */
export type WorkerResponse =
  | { readonly id: number; readonly result: CopyResult }
  | { readonly id: number; readonly failure: WorkerFailure };

/** An error in a form that passes between threads. */
export interface WorkerFailure {
  readonly code: ImageErrorCode | undefined;
  readonly message: string;
  readonly cause: unknown;
}

/** Takes an error apart. */
export function packFailure(error: unknown): WorkerFailure {
  const { message, cause } = error instanceof Error ? error : new Error(String(error));
  return { code: isImageError(error) ? error.code : undefined, message, cause };
}

/** Puts an error together again. */
export function unpackFailure({ code, message, cause }: WorkerFailure): Error {
  return code === undefined
    ? new Error(message, { cause })
    : new ImageError(code, message, { cause });
}
