import { ImageError, isImageError } from "../image-error.ts";

const TLS_TRUST_CODE =
  /^(CERT_|CRL_|UNABLE_TO_|DEPTH_ZERO_|SELF_SIGNED_|ERR_TLS_CERT_|HOSTNAME_MISMATCH|INVALID_CA|INVALID_PURPOSE|PATH_LENGTH)/;

/** Turns an error of the HTTP client into an {@link ImageError}; others pass unchanged. */
export function translateRequestError(error: unknown, subject: string): unknown {
  if (isImageError(error)) {
    return error.code === "IMAGE_SOURCE_STALLED"
      ? new ImageError("IMAGE_SOURCE_STALLED", `${subject}: ${error.message}`, { cause: error })
      : error;
  }
  const code = errorCode(error);
  if (code === undefined) return error;
  if (code === "UND_ERR_CONNECT_TIMEOUT" || code === "ETIMEDOUT") {
    return new ImageError("IMAGE_SOURCE_STALLED", `${subject}: connecting took too long`, {
      cause: error,
    });
  }
  if (TLS_TRUST_CODE.test(code)) {
    return new ImageError(
      "IMAGE_SOURCE_UNTRUSTED",
      `${subject}: the server's certificate cannot be verified (${code}); check the CA bundle`,
      { cause: error },
    );
  }
  return new ImageError("IMAGE_SOURCE_UNREACHABLE", `${subject} cannot be reached (${code})`, {
    cause: error,
  });
}

/** The error for an HTTP status other than success or a redirect. */
export function statusError(status: number, subject: string): ImageError {
  const isPassing = status >= 500 || status === 408 || status === 425 || status === 429;
  return new ImageError(
    isPassing ? "IMAGE_SOURCE_UNAVAILABLE" : "IMAGE_SOURCE_STATUS",
    `${subject} answered with HTTP status ${status}`,
  );
}

function errorCode(error: unknown): string | undefined {
  const code = (error as NodeJS.ErrnoException | undefined)?.code;
  return typeof code === "string" ? code : undefined;
}
