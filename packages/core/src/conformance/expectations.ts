import { isPolyvisorError, type PolyvisorErrorCode } from "../util/errors.ts";

/** A signal that is never aborted. */
export const never: AbortSignal = new AbortController().signal;

/** For `assert.rejects`: an error with that code. */
export function failsWith(...codes: PolyvisorErrorCode[]): (error: unknown) => boolean {
  return (error) => codes.some((code) => isPolyvisorError(error, code));
}
