import { ImageError } from "../image-error.ts";

const MAX_JOLIET_CHARACTERS = 64;
const MAX_NAME_BYTES = 150;
const MAX_COLLISIONS = 1000;
// Joliet forbids these and control characters, and "/" separates directories.
const FORBIDDEN = /[\p{Cc}*/:;?\\]/u;

/**
 * Checks a file name against what Joliet and Rock Ridge can hold.
 *
 * @throws ImageError `IMAGE_INVALID_ARGUMENT`.
 */
export function checkIsoFileName(name: string): void {
  const problem =
    name === "" || name === "." || name === ".."
      ? "is not a file name"
      : FORBIDDEN.test(name)
        ? "has a forbidden character"
        : !name.isWellFormed() || name.length > MAX_JOLIET_CHARACTERS
          ? `is longer than ${MAX_JOLIET_CHARACTERS} characters or not well-formed`
          : Buffer.byteLength(name) > MAX_NAME_BYTES
            ? `is longer than ${MAX_NAME_BYTES} bytes`
            : undefined;
  if (problem === undefined) return;
  throw new ImageError(
    "IMAGE_INVALID_ARGUMENT",
    `file name ${JSON.stringify(name.slice(0, 100))} ${problem}`,
  );
}

/**
 * Gives every name an 8.3 identifier of its own, with version, for readers that know neither
 * Joliet nor Rock Ridge.
 *
 * @see ECMA-119, section 7.5
 */
export function shortIsoNames(names: readonly string[]): readonly string[] {
  const taken = new Set<string>();
  return names.map((name) => {
    const dot = name.lastIndexOf(".");
    const base = toDCharacters(dot > 0 ? name.slice(0, dot) : name) || "_";
    const extension = dot > 0 ? toDCharacters(name.slice(dot + 1)).slice(0, 3) : "";
    for (let attempt = 0; attempt < MAX_COLLISIONS; attempt += 1) {
      const suffix = attempt === 0 ? "" : String(attempt);
      const short = `${base.slice(0, 8 - suffix.length)}${suffix}.${extension};1`;
      if (taken.has(short)) continue;
      taken.add(short);
      return short;
    }
    throw new ImageError("IMAGE_INVALID_ARGUMENT", "too many files have similar names");
  });
}

function toDCharacters(text: string): string {
  return text.toUpperCase().replaceAll(/[^A-Z0-9_]/g, "_");
}
