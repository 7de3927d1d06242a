import type {
  NodeSelectorRequirement,
  NodeSelectorTerm,
  Taint,
  Toleration,
} from "../api/placement-terms.ts";

/** What rules about nodes look at. */
export interface NodeFacts {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
}

/** True when every requirement of the term holds; a term without any chooses nothing, as in Kubernetes. */
export function matchesNodeTerm(term: NodeSelectorTerm, { name, labels }: NodeFacts): boolean {
  const { matchExpressions = [], matchFields = [] } = term;
  if (matchExpressions.length + matchFields.length === 0) return false;
  return (
    matchExpressions.every((requirement) => holds(requirement, labels)) &&
    matchFields.every((requirement) => holds(requirement, { "metadata.name": name }))
  );
}

function holds(
  { key, operator, values = [] }: NodeSelectorRequirement,
  facts: Readonly<Record<string, string>>,
): boolean {
  const value = facts[key];
  switch (operator) {
    case "In":
      return value !== undefined && values.includes(value);
    case "NotIn":
      return value === undefined || !values.includes(value);
    case "Exists":
      return value !== undefined;
    case "DoesNotExist":
      return value === undefined;
    case "Gt":
    case "Lt": {
      const [actual, limit] = [wholeNumber(value), wholeNumber(values[0])];
      if (actual === undefined || limit === undefined) return false;
      return operator === "Gt" ? actual > limit : actual < limit;
    }
  }
}

function wholeNumber(text: string | undefined): number | undefined {
  return text !== undefined && /^-?[0-9]+$/.test(text) ? Number(text) : undefined;
}

/** The first taint of an effect that none of the tolerations is for. */
export function untoleratedTaint(
  taints: readonly Taint[],
  tolerations: readonly Toleration[] = [],
  effects: readonly Taint["effect"][],
): Taint | undefined {
  return taints.find(
    (taint) =>
      effects.includes(taint.effect) &&
      !tolerations.some((toleration) => tolerates(toleration, taint)),
  );
}

function tolerates(
  { key, operator = "Equal", value = "", effect }: Toleration,
  taint: Taint,
): boolean {
  if (effect !== undefined && effect !== taint.effect) return false;
  if (key === undefined || key === "") return operator === "Exists";
  if (key !== taint.key) return false;
  return operator === "Exists" || value === (taint.value ?? "");
}

/** `key=value:NoSchedule`, as Kubernetes writes it. */
export function describeTaint({ key, value, effect }: Taint): string {
  return `${key}${value === undefined || value === "" ? "" : `=${value}`}:${effect}`;
}
