import type * as z from "zod";
import { rewriteAliases } from "../api/aliases.ts";
import type { KindDefinition } from "../api/kind.ts";
import {
  DEFAULT_NAMESPACE,
  describeResource,
  metadataSchema,
  type ObjectMetaInput,
  type Resource,
} from "../api/meta.ts";
import { PolyvisorError } from "../util/errors.ts";
import { isPlainObject } from "../util/json.ts";

/** A manifest of which the shape is right, with defaults filled in. */
export interface ValidManifest {
  readonly metadata: ObjectMetaInput;
  /** Everything besides `apiVersion`, `kind`, `metadata` and `status`. */
  readonly content: Readonly<Record<string, unknown>>;
  /** What was written otherwise than it should be. */
  readonly warnings: readonly string[];
}

/**
 * Checks the shape of a manifest of a kind.
 *
 * @throws `POLYVISOR_INVALID` that names every field that is wrong.
 */
export function validateManifest(
  definition: KindDefinition<Resource>,
  manifest: Readonly<Record<string, unknown>>,
): ValidManifest {
  const { apiVersion, kind, metadata, status: _, ...rest } = manifest;
  const issues: string[] = [];
  const versions = [definition.apiVersion, ...(definition.servedVersions ?? [])];
  if (apiVersion !== undefined && !versions.some((version) => version === apiVersion)) {
    issues.push(`apiVersion: must be ${versions.map((version) => `"${version}"`).join(" or ")}`);
  }
  if (kind !== undefined && kind !== definition.kind)
    issues.push(`kind: must be "${definition.kind}"`);
  const validMetadata = metadataSchema.safeParse(metadata ?? {});
  if (!validMetadata.success) issues.push(...formatIssues(validMetadata.error, ["metadata"]));
  const normal = rewriteAliases(definition, typeof apiVersion === "string" ? apiVersion : "", rest);
  const content = definition.schema.safeParse(normal.content);
  if (!content.success) issues.push(...formatIssues(content.error, []));
  const name = validMetadata.data?.name;
  if (validMetadata.success) issues.push(...checkName(definition, validMetadata.data));
  if (issues.length > 0) throw refuse(definition, metadata, issues);
  const { namespace, ...others } = validMetadata.data ?? {};
  return {
    metadata: {
      ...others,
      ...(name !== undefined && { name }),
      ...(definition.namespaced && { namespace: namespace ?? DEFAULT_NAMESPACE }),
    },
    content: content.data as Readonly<Record<string, unknown>>,
    warnings: [
      ...normal.warnings,
      ...(!definition.namespaced && namespace !== undefined
        ? [`metadata.namespace has no effect: a ${definition.kind} belongs to no namespace`]
        : []),
    ],
  };
}

function checkName(
  { maxNameLength = 253, kind }: KindDefinition<Resource>,
  { name, generateName }: ObjectMetaInput,
): string[] {
  if (name === undefined) return generateName === undefined ? ["metadata.name: is missing"] : [];
  if (name.length <= maxNameLength) return [];
  return [
    `metadata.name: the ${kind} name "${name}" is too long: it must be no more than ${maxNameLength} characters`,
  ];
}

/** The error for a manifest that breaks rules. */
export function refuse(
  { kind }: { readonly kind: string },
  metadata: unknown,
  issues: readonly string[],
): PolyvisorError {
  const { name, namespace } = isPlainObject(metadata) ? metadata : {};
  const described = describeResource({
    kind,
    metadata: {
      name: typeof name === "string" ? name : "(no name)",
      ...(typeof namespace === "string" && { namespace }),
    },
  });
  return new PolyvisorError("POLYVISOR_INVALID", `${described} is invalid: ${issues.join("; ")}`);
}

function formatIssues(error: z.ZodError, prefix: readonly string[]): string[] {
  return error.issues.flatMap((issue) => {
    const at = (path: readonly PropertyKey[]): string => formatPath([...prefix, ...path]);
    if (issue.code === "unrecognized_keys") {
      return issue.keys.map((key) => `${at([...issue.path, key])}: unknown field`);
    }
    if (issue.code === "invalid_key") return [`${at(issue.path)}: is not a valid key`];
    if (issue.code === "invalid_type") {
      // The input itself is not among what an issue tells.
      const missing = /received undefined/.test(issue.message);
      return [`${at(issue.path)}: ${missing ? `is missing (${issue.expected})` : issue.message}`];
    }
    return [`${at(issue.path)}: ${issue.message}`];
  });
}

function formatPath(path: readonly PropertyKey[]): string {
  return path.reduce<string>(
    (text, part) =>
      typeof part === "number"
        ? `${text}[${part}]`
        : text === ""
          ? String(part)
          : `${text}.${String(part)}`,
    "",
  );
}
