import { parseAllDocuments } from "yaml";
import { PolyvisorError } from "../util/errors.ts";
import { isPlainObject } from "../util/json.ts";

/** The longest YAML text that is read, in characters. */
const MAXIMUM_LENGTH = 4 * 2 ** 20;

/**
 * The documents of a YAML text, empty ones left out. Lists (`kind: List`) are taken apart. Tags and aliases are refused.
 *
 * @throws `POLYVISOR_INVALID` with the line when the text is no YAML or a document is no object.
 */
export function readManifests(yaml: string): Record<string, unknown>[] {
  if (yaml.length > MAXIMUM_LENGTH) {
    throw invalid(
      `the text has ${yaml.length} characters, and ${MAXIMUM_LENGTH} are allowed: split it`,
    );
  }
  const documents = parseAllDocuments(yaml, {
    schema: "core",
    uniqueKeys: true,
    logLevel: "silent",
  });
  const manifests: Record<string, unknown>[] = [];
  for (const [index, document] of ("empty" in documents ? [] : documents).entries()) {
    // An unknown tag is only a warning to the parser, and would silently be read as text.
    const problem = document.errors[0] ?? document.warnings[0];
    if (problem) throw invalid(problem.message.trimEnd(), problem);
    let value: unknown;
    try {
      value = document.toJS({ maxAliasCount: 0 });
    } catch (error) {
      throw invalid(
        `document ${index + 1}: anchors and aliases are not allowed: write the value out`,
        error,
      );
    }
    if (value === null || value === undefined) continue;
    if (!isPlainObject(value))
      throw invalid(`document ${index + 1} is no object: a manifest starts with "apiVersion:"`);
    manifests.push(...takeApart(value));
  }
  return manifests;
}

function takeApart(manifest: Record<string, unknown>): Record<string, unknown>[] {
  const { kind, items } = manifest;
  if (kind !== "List") return [manifest];
  if (Array.isArray(items) && items.every(isPlainObject)) return items.flatMap(takeApart);
  throw invalid("List: items must be a list of manifests");
}

function invalid(message: string, cause?: unknown): PolyvisorError {
  return new PolyvisorError("POLYVISOR_INVALID", `The YAML cannot be read: ${message}`, { cause });
}
