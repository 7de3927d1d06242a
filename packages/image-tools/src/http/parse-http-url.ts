import { ImageError } from "../image-error.ts";

/**
 * Parses an absolute http or https URL.
 *
 * @throws ImageError `IMAGE_INVALID_ARGUMENT`; the message does not repeat the URL.
 */
export function parseHttpUrl(url: string): URL {
  const parsed = URL.canParse(url) ? new URL(url) : undefined;
  if (parsed?.protocol !== "http:" && parsed?.protocol !== "https:") {
    throw new ImageError("IMAGE_INVALID_ARGUMENT", "the image source is not an http or https URL");
  }
  return parsed;
}
