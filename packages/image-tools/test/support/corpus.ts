import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";

/** One entry of the oracle of the corpus. */
export interface CorpusEntry {
  readonly file: string;
  readonly klass: "valid" | "reject" | "limit" | "warn" | "valid-multi";
  readonly why: string;
  readonly format?: string;
  readonly inner?: string;
  readonly raw_sha256?: string;
  readonly virtual_size?: number;
  readonly stored?: string;
}

const folder = new URL("../fixtures/corpus/", import.meta.url);

/** The oracle: what must become of every file. */
export const CORPUS: readonly CorpusEntry[] = JSON.parse(
  readFileSync(new URL("manifest.json", folder), "utf8"),
) as readonly CorpusEntry[];

/** A file of the corpus as it is. */
export function corpusFile(name: string): Buffer {
  return readFileSync(new URL(name, folder));
}

/** The image of an entry, without the gzip that only keeps the corpus small. */
export function corpusImage(entry: CorpusEntry): Buffer {
  const bytes = corpusFile(entry.file);
  return entry.stored === undefined ? bytes : gunzipSync(bytes);
}

/** SHA-256 as hexadecimal digits. */
export function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}
