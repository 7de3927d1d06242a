import type { LiveMigrationPolicy } from "../api/virtual-machine.ts";

/** Whether the guest may be slowed down so that its memory is copied faster than it changes, or why the wish is wrong. */
export type EffectiveMigrationPolicy =
  { readonly autoConverge: boolean; readonly problem?: undefined } | { readonly problem: string };

/** The policy that an operation has in the end. Source: DVP, "Effective policy". */
export function migrationPolicy(
  policy: LiveMigrationPolicy,
  force: boolean | undefined,
): EffectiveMigrationPolicy {
  const refused = (value: boolean): EffectiveMigrationPolicy => ({
    problem: `force=${value} is not applicable for VM liveMigrationPolicy ${policy}`,
  });
  switch (policy) {
    case "AlwaysSafe":
      return force === true ? refused(true) : { autoConverge: false };
    case "PreferSafe":
      return { autoConverge: force ?? false };
    case "PreferForced":
      return { autoConverge: force ?? true };
    case "AlwaysForced":
      return force === false ? refused(false) : { autoConverge: true };
  }
}
