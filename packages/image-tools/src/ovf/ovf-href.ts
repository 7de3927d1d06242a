import { ImageError } from "../image-error.ts";

/**
 * The member of the package that a reference names.
 *
 * @throws ImageError `IMAGE_UNSAFE` for URLs, absolute paths and paths that lead out of the package.
 */
export function confinedHref(href: string): string {
  const parts = href.split("/").filter((part) => part !== "" && part !== ".");
  const isOutside =
    /^[a-z][a-z0-9+.-]*:/i.test(href) ||
    href.startsWith("/") ||
    /[\\\0]/.test(href) ||
    parts.includes("..") ||
    parts.length === 0;
  if (isOutside) {
    throw new ImageError(
      "IMAGE_UNSAFE",
      `the OVF descriptor refers to something outside of its package: ${JSON.stringify(href)}`,
    );
  }
  return parts.join("/");
}
