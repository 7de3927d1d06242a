/** Every error code of the lab and what it means. Codes are stable within a major version. */
export const LAB_ERROR_CODES: Readonly<Record<LabErrorCode, string>> = {
  LAB_INVALID: "An option breaks a rule; the message names it.",
  LAB_UNSUPPORTED: "This machine is not Linux, not Debian or not amd64.",
  LAB_ROOT_REQUIRED: "Namespaces of a host need root.",
  LAB_PACKAGES_MISSING:
    "Debian packages are missing and may not be installed here; the message holds the command.",
  LAB_COMMAND_FAILED: "A program could not be started or ended with an error.",
  LAB_HOST_START_FAILED: "The namespaces or the daemon of a host did not come up.",
  LAB_HOST_STOPPED: "The host was disposed of or has ended.",
  LAB_IMAGE_FAILED: "The guest image could not be built.",
  LAB_TIMEOUT: "Something did not happen within its time.",
};

/** A key of {@link LAB_ERROR_CODES}. */
export type LabErrorCode =
  | "LAB_INVALID"
  | "LAB_UNSUPPORTED"
  | "LAB_ROOT_REQUIRED"
  | "LAB_PACKAGES_MISSING"
  | "LAB_COMMAND_FAILED"
  | "LAB_HOST_START_FAILED"
  | "LAB_HOST_STOPPED"
  | "LAB_IMAGE_FAILED"
  | "LAB_TIMEOUT";

const BRAND: unique symbol = Symbol.for("@polyvisor/backend-libvirt/LabError") as never;

/** The one error class of the lab. Tell errors apart by `code`, with {@link isLabError}. */
export class LabError extends Error {
  override readonly name: string = "LabError";
  readonly code: LabErrorCode;

  constructor(code: LabErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
    Object.defineProperty(this, BRAND, { value: true });
  }
}

/** True for a {@link LabError}, also one of another copy of this package, and of this `code` if given. */
export function isLabError(error: unknown, code?: LabErrorCode): error is LabError {
  return (
    error instanceof Error &&
    BRAND in error &&
    (code === undefined || Reflect.get(error, "code") === code)
  );
}
