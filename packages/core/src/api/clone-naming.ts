import * as z from "zod";
import { nonEmpty } from "./fields.ts";
import type { AdmissionIssue } from "./kind.ts";

/**
 * How strictly objects are restored or cloned: `DryRun` only says what would happen, `Strict` keeps references that
 * lead nowhere, `BestEffort` drops them.
 */
export type RestoreMode = "DryRun" | "Strict" | "BestEffort";

/** How the copies of a VM and of what belongs to it are named. At least one rule is needed. */
export interface CloneNaming {
  readonly mode: RestoreMode;
  /** For single objects; wins over `customization`. */
  readonly nameReplacement?: readonly {
    /** Without a kind: objects of every kind with this name. */
    readonly from: { readonly kind?: string; readonly name: string };
    /** 1 to 59 characters. */
    readonly to: string;
  }[];
  /** For every object; 1 to 59 characters each. */
  readonly customization?: { readonly namePrefix?: string; readonly nameSuffix?: string };
}

/** What became of one object. */
export interface ResourceResult {
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
  readonly status: "InProgress" | "Completed" | "Failed";
  readonly message: string;
}

/** {@link RestoreMode} as users write it. */
export const restoreModeSchema: z.ZodType<RestoreMode, RestoreMode> = z.enum([
  "DryRun",
  "Strict",
  "BestEffort",
]);

/** {@link CloneNaming} as users write it. */
export const cloneNamingSchema: z.ZodType<CloneNaming, CloneNaming> = z.strictObject({
  mode: restoreModeSchema,
  nameReplacement: z
    .array(
      z.strictObject({
        from: z.strictObject({ kind: nonEmpty.exactOptional(), name: nonEmpty }),
        to: nonEmpty,
      }),
    )
    .exactOptional(),
  customization: z
    .strictObject({
      namePrefix: z.string().exactOptional(),
      nameSuffix: z.string().exactOptional(),
    })
    .exactOptional(),
});

function hasFittingLength(text: string): boolean {
  return text.length >= 1 && text.length <= 59;
}

/** The broken rules of a naming. Source: the DVP custom resource definitions, `spec.clone`, `spec.createVirtualMachine`. */
export function admitCloneNaming(naming: CloneNaming, field: string): AdmissionIssue[] {
  const { nameReplacement = [], customization = {} } = naming;
  const { namePrefix, nameSuffix } = customization;
  const issues: AdmissionIssue[] = [];
  if (!namePrefix && !nameSuffix && nameReplacement.length === 0) {
    issues.push({
      field,
      message:
        "At least one of customization.namePrefix, customization.nameSuffix, or nameReplacement must be set",
    });
  }
  for (const [name, text] of Object.entries({ namePrefix, nameSuffix })) {
    if (text === undefined || hasFittingLength(text)) continue;
    issues.push({
      field: `${field}.customization`,
      message: `${name} length must be between 1 and 59 characters if set`,
    });
  }
  if (!nameReplacement.every(({ to }) => hasFittingLength(to))) {
    issues.push({
      field: `${field}.nameReplacement`,
      message: "Each nameReplacement.to must be between 1 and 59 characters",
    });
  }
  return issues;
}
