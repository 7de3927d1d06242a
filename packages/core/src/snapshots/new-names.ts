import type { CloneNaming } from "../api/clone-naming.ts";

/** How the objects of a clone are named. */
export type NamingRules = Pick<CloneNaming, "nameReplacement" | "customization">;

/**
 * The name of the copy of an object: what the first rule says that fits its name and, where the rule has one, its kind;
 * else its name between prefix and suffix.
 */
export function newName(rules: NamingRules, kind: string, name: string): string {
  const rule = rules.nameReplacement?.find(
    ({ from }) => from.name === name && (from.kind ?? kind) === kind,
  );
  if (rule) return rule.to;
  const { namePrefix = "", nameSuffix = "" } = rules.customization ?? {};
  return `${namePrefix}${name}${nameSuffix}`;
}

const LONGEST: Readonly<Record<string, number>> = { VirtualMachine: 63 };
const NAME = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;

/** Why a name cannot be given, if that is so. */
export function nameProblem(kind: string, name: string): string | undefined {
  const longest = LONGEST[kind] ?? 253;
  if (name.length > longest) {
    return `the ${kind} name ${JSON.stringify(name)} is too long: it must be no more than ${longest} characters`;
  }
  if (NAME.test(name)) return undefined;
  return `the ${kind} name ${JSON.stringify(name)} must consist of lower-case letters, digits, '-' and '.'`;
}
