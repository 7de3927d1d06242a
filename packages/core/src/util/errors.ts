/** A stable code; see {@link POLYVISOR_ERROR_CODES}. */
export type PolyvisorErrorCode =
  | "POLYVISOR_INVALID"
  | "POLYVISOR_NOT_FOUND"
  | "POLYVISOR_ALREADY_EXISTS"
  | "POLYVISOR_CONFLICT"
  | "POLYVISOR_EXPIRED"
  | "POLYVISOR_EXHAUSTED"
  | "POLYVISOR_UNSUPPORTED"
  | "POLYVISOR_UNAVAILABLE"
  | "POLYVISOR_OUTCOME_UNKNOWN"
  | "POLYVISOR_REFUSED"
  | "POLYVISOR_FAILED"
  | "POLYVISOR_TIMEOUT"
  | "POLYVISOR_CLOSED";

/**
 * Every error code of Polyvisor: what it means, and whether doing the same again later can help.
 *
 * Codes are stable within a major version; messages are not.
 */
export const POLYVISOR_ERROR_CODES: Readonly<
  Record<PolyvisorErrorCode, { readonly retryable: boolean; readonly meaning: string }>
> = {
  POLYVISOR_INVALID: {
    retryable: false,
    meaning: "A manifest or an argument breaks a rule; the message names the field.",
  },
  POLYVISOR_NOT_FOUND: {
    retryable: false,
    meaning: "The named resource, guest, volume or image does not exist.",
  },
  POLYVISOR_ALREADY_EXISTS: {
    retryable: false,
    meaning: "Something else with that name exists.",
  },
  POLYVISOR_CONFLICT: {
    retryable: true,
    meaning: "The resource changed since it was read; read it again and repeat.",
  },
  POLYVISOR_EXPIRED: {
    retryable: true,
    meaning:
      "The revision to watch or list from is no longer kept; list again and watch from there.",
  },
  POLYVISOR_EXHAUSTED: {
    retryable: true,
    meaning: "Nothing is left to hand out: addresses, capacity, or room in a queue.",
  },
  POLYVISOR_UNSUPPORTED: {
    retryable: false,
    meaning: "The backend does not have the facet that this needs, or this version cannot do it.",
  },
  POLYVISOR_UNAVAILABLE: {
    retryable: true,
    meaning: "A host or a service cannot be reached now; nothing was done.",
  },
  POLYVISOR_OUTCOME_UNKNOWN: {
    retryable: true,
    meaning: "The connection was lost after the request left: it may or may not have been done.",
  },
  POLYVISOR_REFUSED: {
    retryable: false,
    meaning: "The backend answered and said no; nothing was done.",
  },
  POLYVISOR_FAILED: {
    retryable: false,
    meaning: "A resource that was waited for has failed; the message carries its condition.",
  },
  POLYVISOR_TIMEOUT: {
    retryable: true,
    meaning: "The time given for waiting is over.",
  },
  POLYVISOR_CLOSED: {
    retryable: false,
    meaning: "The platform or the object was used after it was disposed of.",
  },
};

const BRAND: unique symbol = Symbol.for("@polyvisor/core/PolyvisorError") as never;

/** The one error class of Polyvisor. Tell errors apart by `code`, with {@link isPolyvisorError}. */
export class PolyvisorError extends Error {
  override readonly name: string = "PolyvisorError";
  readonly code: PolyvisorErrorCode;

  constructor(code: PolyvisorErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
    Object.defineProperty(this, BRAND, { value: true });
  }

  /** True when the same request can succeed later without a change of the request. */
  get retryable(): boolean {
    return POLYVISOR_ERROR_CODES[this.code].retryable;
  }
}

/** Tells a {@link PolyvisorError}, of `code` where given. Works across copies of the package, where `instanceof` does not. */
export function isPolyvisorError(
  error: unknown,
  code?: PolyvisorErrorCode,
): error is PolyvisorError {
  if (typeof error !== "object" || error === null || !(BRAND in error)) return false;
  return code === undefined || (error as unknown as PolyvisorError).code === code;
}

/** The text of whatever was thrown, for a condition or a log line. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
