import { readFile } from "node:fs/promises";
import { isPolyvisorError, POLYVISOR_ERROR_CODES, PolyvisorError } from "@polyvisor/core";
import { describe, expect, it } from "vitest";

describe("PolyvisorError", () => {
  it("is told by its brand, also when it comes from another copy of the package", async () => {
    const url = new URL("../../src/util/errors.ts?copy", import.meta.url).href;
    const copy = (await import(/* @vite-ignore */ url)) as {
      PolyvisorError: typeof PolyvisorError;
    };
    expect(copy.PolyvisorError).not.toBe(PolyvisorError);
    const foreign = new copy.PolyvisorError("POLYVISOR_CONFLICT", "from elsewhere");
    expect(foreign).not.toBeInstanceOf(PolyvisorError);
    expect(isPolyvisorError(foreign)).toBe(true);
    expect(isPolyvisorError(foreign, "POLYVISOR_CONFLICT")).toBe(true);
    expect(isPolyvisorError(foreign, "POLYVISOR_INVALID")).toBe(false);
  });

  it.each([undefined, null, "POLYVISOR_INVALID", new Error("x"), { code: "POLYVISOR_INVALID" }])(
    "is not %j",
    (other) => {
      expect(isPolyvisorError(other)).toBe(false);
    },
  );

  it("keeps its cause and says whether a repetition can help", () => {
    const cause = new Error("refused connection");
    const error = new PolyvisorError("POLYVISOR_UNAVAILABLE", "no answer", { cause });
    expect(error).toMatchObject({ name: "PolyvisorError", message: "no answer", cause });
    expect(error.retryable).toBe(true);
    expect(new PolyvisorError("POLYVISOR_REFUSED", "no").retryable).toBe(false);
  });
});

describe("docs/errors.md", () => {
  it("has a row for every code and no other, with the same retryability and meaning", async () => {
    const text = await readFile(new URL("../../../../docs/errors.md", import.meta.url), "utf8");
    const rows = text
      .split("\n")
      .filter((line) => line.startsWith("| `POLYVISOR_"))
      .map((line) => line.split("|").map((cell) => cell.trim()));
    const documented = rows.map(([, code, retryable, meaning]) => ({ code, retryable, meaning }));
    const expected = Object.entries(POLYVISOR_ERROR_CODES).map(([code, entry]) => ({
      code: `\`${code}\``,
      retryable: entry.retryable ? "yes" : "no",
      meaning: entry.meaning,
    }));
    expect(documented).toEqual(expected);
    for (const row of rows) expect(row[4]).toMatch(/\S.{10}/);
  });
});
