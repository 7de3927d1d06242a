import type {
  GuestSpec,
  LabelSelector,
  LabelSelectorRequirement,
  PlacementConstraints,
  Taint,
  Toleration,
} from "@polyvisor/core";
import type { SimulatedHost } from "../hosts/simulated-host.ts";

type Labels = Readonly<Record<string, string>>;
type NodeAffinity = NonNullable<NonNullable<PlacementConstraints["affinity"]>["nodeAffinity"]>;
type NodeTerm = NonNullable<
  NodeAffinity["requiredDuringSchedulingIgnoredDuringExecution"]
>["nodeSelectorTerms"][number];
type NodeRequirement = NonNullable<NodeTerm["matchExpressions"]>[number];
type MachineAffinity = NonNullable<
  NonNullable<PlacementConstraints["affinity"]>["virtualMachineAndPodAffinity"]
>;
type MachineTerm = NonNullable<
  MachineAffinity["requiredDuringSchedulingIgnoredDuringExecution"]
>[number];

/** A guest that a host has, or is about to get. */
export interface PlacedGuest {
  readonly spec: GuestSpec;
  readonly host: SimulatedHost;
}

/** Labels of a host as a scheduler sees them. */
export function labelsOf({ name, labels }: SimulatedHost): Labels {
  return { "kubernetes.io/hostname": name, ...labels };
}

export function matchesSelector(selector: LabelSelector | undefined, labels: Labels): boolean {
  if (selector === undefined) return false;
  return (
    Object.entries(selector.matchLabels ?? {}).every(([key, value]) => labels[key] === value) &&
    (selector.matchExpressions ?? []).every((each) => meets(each, labels))
  );
}

function meets(
  { key, operator, values = [] }: LabelSelectorRequirement | NodeRequirement,
  labels: Labels,
): boolean {
  const value = labels[key];
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
      return Number(value) > Number(values[0]);
    case "Lt":
      return Number(value) < Number(values[0]);
  }
}

export function matchesNodeTerm(term: NodeTerm, host: SimulatedHost): boolean {
  const { matchExpressions = [], matchFields = [] } = term;
  if (matchExpressions.length + matchFields.length === 0) return false;
  return (
    matchExpressions.every((each) => meets(each, labelsOf(host))) &&
    matchFields.every((each) => meets(each, { "metadata.name": host.name }))
  );
}

/** The first taint of an effect that keeps a guest away and that it does not tolerate. */
export function untolerated(
  taints: readonly Taint[],
  tolerations: readonly Toleration[],
): Taint | undefined {
  return taints.find(
    (taint) =>
      taint.effect !== "PreferNoSchedule" &&
      !tolerations.some((toleration) => tolerates(toleration, taint)),
  );
}

function tolerates({ key, operator = "Equal", value, effect }: Toleration, taint: Taint): boolean {
  if (effect !== undefined && effect !== taint.effect) return false;
  if (key === undefined || key === "") return operator === "Exists";
  if (key !== taint.key) return false;
  return operator === "Exists" || (value ?? "") === (taint.value ?? "");
}

/** True when a guest of a term's kind is in the same place as `host`. */
export function isNear(
  term: MachineTerm,
  spec: GuestSpec,
  host: SimulatedHost,
  placed: readonly PlacedGuest[],
): boolean {
  const place = labelsOf(host)[term.topologyKey];
  if (place === undefined) return false;
  return placed.some(
    (other) => labelsOf(other.host)[term.topologyKey] === place && isMeant(term, spec, other.spec),
  );
}

/** True when a term of a guest means the other one. */
export function isMeant(term: MachineTerm, spec: GuestSpec, other: GuestSpec): boolean {
  const { namespaces = [spec.namespace], matchLabelKeys = [], mismatchLabelKeys = [] } = term;
  const own = spec.labels ?? {};
  const others = other.labels ?? {};
  return (
    other.uid !== spec.uid &&
    namespaces.includes(other.namespace) &&
    matchesSelector(term.labelSelector, others) &&
    matchLabelKeys.every((key) => own[key] === others[key]) &&
    mismatchLabelKeys.every((key) => own[key] !== others[key])
  );
}
