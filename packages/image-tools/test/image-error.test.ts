import { readFile } from "node:fs/promises";
import { expect, test } from "vitest";
import { IMAGE_ERROR_CODES, ImageError, isImageError } from "../src/index.ts";

test("an error carries its code, its fixed retryable flag and its cause", () => {
  const cause = new Error("inner");
  const error = new ImageError("IMAGE_SOURCE_STALLED", "message", { cause });
  expect(error).toMatchObject({ code: "IMAGE_SOURCE_STALLED", retryable: true, cause });
  expect(new ImageError("IMAGE_UNSAFE", "message").retryable).toBe(false);
});

test("isImageError knows errors of another copy of the package and nothing else", () => {
  const error = new ImageError("IMAGE_IO", "message");
  const foreign = Object.assign(new Error("message"), {
    code: "IMAGE_IO",
    [Symbol.for("@polyvisor/image-tools/ImageError")]: true,
  });
  expect(isImageError(error)).toBe(true);
  expect(isImageError(foreign, "IMAGE_IO")).toBe(true);
  expect(isImageError(error, "IMAGE_CORRUPT")).toBe(false);
  for (const other of [
    undefined,
    "IMAGE_IO",
    {},
    Object.assign(new Error(), { code: "IMAGE_IO" }),
  ]) {
    expect(isImageError(other)).toBe(false);
  }
});

test("the README lists exactly the codes that exist, with their retryable flags", async () => {
  const readme = await readFile(new URL("../README.md", import.meta.url), "utf8");
  const rows = [...readme.matchAll(/^\| `(IMAGE_\w+)` +\| (yes|no) +\| (.+?) +\|$/gm)];
  const documented = rows.map(([, code, retryable, text]) => [code, retryable, text]);
  const existing = Object.entries(IMAGE_ERROR_CODES).map(([code, { retryable, description }]) => [
    code,
    retryable ? "yes" : "no",
    description,
  ]);
  expect(documented).toEqual(existing);
});
