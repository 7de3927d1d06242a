import { readdir, readFile, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { describe, expect, test } from "vitest";
import { runCommand } from "../../src/command/run-command.ts";
import { CORPUS, corpusFile, corpusImage, sha256, type CorpusEntry } from "../support/corpus.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

interface Outcome {
  readonly status: number;
  readonly json: Readonly<Record<string, unknown>>;
}

/** Runs the command as `--json` has it: one object, and nothing said. */
async function run(...args: readonly string[]): Promise<Outcome> {
  let printed = "";
  let said = "";
  const status = await runCommand([...args, "--json"], {
    print: (text) => {
      printed += text;
    },
    say: (text) => {
      said += text;
    },
    terminal: undefined,
    signal: new AbortController().signal,
  });
  expect(said).toBe("");
  expect(printed.endsWith("}\n")).toBe(true);
  return { status, json: JSON.parse(printed) as Outcome["json"] };
}

// A terabyte without any data is a file of a terabyte, which takes long only to hash.
const TOO_LARGE_TO_HASH = "q-empty-1T.qcow2.gz";
const WRAPPERS = new Set(["gz", "xz", "zst", "bz2", "ova", "oci", "tar"]);
const REFUSED = [3, 4, 5];
const STATUS_OF_CLASS: Readonly<Record<CorpusEntry["klass"], readonly number[]>> = {
  valid: [0],
  warn: [0],
  limit: [5],
  reject: REFUSED,
  "valid-multi": [3],
};

describe.each(CORPUS.map((entry) => [entry.file, entry.klass, entry.why, entry] as const))(
  "%s (%s: %s)",
  (file, klass, _why, entry) => {
    test("info, check and convert", { timeout: 60_000 }, async () => {
      await using directory = await temporaryDirectory();
      const source = join(directory.path, basename(file));
      await writeFile(source, entry.stored === undefined ? corpusFile(file) : corpusImage(entry));
      const target = join(directory.path, "target");

      const converted = await run("convert", source, target, "--to", "raw");
      expect(STATUS_OF_CLASS[klass], JSON.stringify(converted.json)).toContain(converted.status);
      const left = await readdir(directory.path);
      if (converted.status === 0) {
        expect(left.toSorted()).toEqual([basename(file), "target"].toSorted());
        expect(converted.json).not.toHaveProperty("error");
        const isKnown = entry.raw_sha256 !== undefined && file !== TOO_LARGE_TO_HASH;
        if (isKnown) expect(sha256(await readFile(target))).toBe(entry.raw_sha256);
        if (klass === "warn") expect(converted.json["warnings"]).not.toEqual([]);
      } else {
        expect(left).toEqual([basename(file)]);
        expect(converted.json["error"]).toEqual({
          code: expect.stringMatching(/^IMAGE_/) as string,
          message: expect.any(String) as string,
        });
      }

      const checked = await run("check", source);
      expect(checked.status).toBe(converted.status);
      expect(checked.json["error"]).toEqual(converted.json["error"]);

      const described = await run("info", source);
      if (converted.status === 0) {
        expect(described.status).toBe(0);
        const isWrapped = WRAPPERS.has(entry.format ?? "");
        expect(described.json["cdrom"]).toBe(entry.format === "iso");
        if (!isWrapped) expect(described.json["format"]).toBe(entry.format);
        if (entry.virtual_size !== undefined && !isWrapped) {
          expect(described.json["virtualSize"]).toBe(entry.virtual_size);
        }
      } else if (described.status !== 0) {
        // What only reading everything shows, describing cannot find.
        expect(REFUSED).toContain(described.status);
        expect(described.json).toHaveProperty("error");
      }
    });
  },
);
