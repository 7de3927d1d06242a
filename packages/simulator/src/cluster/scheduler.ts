import type { GuestSpec, PlacementConstraints } from "@polyvisor/core";
import type { SimulatedHost } from "../hosts/simulated-host.ts";
import {
  isMeant,
  isNear,
  labelsOf,
  matchesNodeTerm,
  matchesSelector,
  type PlacedGuest,
  untolerated,
} from "./placement-rules.ts";

/** A guest that runs, with what it was placed by. */
export interface ScheduledGuest extends PlacedGuest {
  readonly constraints: PlacementConstraints;
}

/** What a choice depends on. */
export interface ScheduleInputs {
  readonly spec: GuestSpec;
  readonly constraints: PlacementConstraints;
  readonly hosts: readonly SimulatedHost[];
  readonly placed: readonly ScheduledGuest[];
  /** What else keeps a guest from a host, such as a host that is not ready or does not reach its disks. */
  readonly objection: (host: SimulatedHost) => string | undefined;
}

/** Chooses a host as a Kubernetes scheduler does, or says why there is none. */
export function schedule(
  inputs: ScheduleInputs,
): { readonly host: SimulatedHost } | { readonly host: undefined; readonly message: string } {
  const reasons = new Map<string, number>();
  let best: { readonly host: SimulatedHost; readonly score: number } | undefined;
  for (const host of inputs.hosts) {
    const reason = inputs.objection(host) ?? forbids(inputs, host);
    if (reason !== undefined) {
      reasons.set(reason, (reasons.get(reason) ?? 0) + 1);
      continue;
    }
    const score = scoreOf(inputs, host);
    if (best === undefined || score > best.score) best = { host, score };
  }
  if (best) return { host: best.host };
  const listed = [...reasons].map(([reason, count]) => `${count} ${reason}`).join(", ");
  const { length } = inputs.hosts;
  return { host: undefined, message: `0/${length} nodes are available: ${listed || "none"}.` };
}

function forbids(inputs: ScheduleInputs, host: SimulatedHost): string | undefined {
  const { spec, constraints, placed } = inputs;
  const { affinity, nodeSelectors, tolerations, cpuFeatures } = constraints;
  if (!nodeSelectors.every((selector) => matchesSelector(selector, labelsOf(host))))
    return "node(s) didn't match the node selector";
  const terms =
    affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution?.nodeSelectorTerms;
  if (terms && !terms.some((term) => matchesNodeTerm(term, host)))
    return "node(s) didn't match the node affinity";
  const taint = untolerated(host.options.taints ?? [], tolerations);
  if (taint) return `node(s) had untolerated taint {${taint.key}: ${taint.value ?? ""}}`;
  if (!cpuFeatures.every((feature) => host.cpu.features.includes(feature)))
    return "node(s) didn't have the CPU features";
  const near = affinity?.virtualMachineAndPodAffinity;
  const required = near?.requiredDuringSchedulingIgnoredDuringExecution ?? [];
  if (!required.every((term) => isNear(term, spec, host, placed) || isFirst(term, inputs)))
    return "node(s) didn't match the affinity to other guests";
  if (isKeptAway(inputs, host)) return "node(s) didn't match the anti-affinity to other guests";
  if (!isSpread(inputs, host)) return "node(s) didn't match the topology spread constraints";
  return undefined;
}

/** The first of a group that wants to be together may be anywhere. */
function isFirst(term: Parameters<typeof isNear>[0], { spec, placed }: ScheduleInputs): boolean {
  const self = { ...spec, uid: "" };
  return isMeant(term, spec, self) && placed.every((other) => !isMeant(term, spec, other.spec));
}

/** By what the guest wants, and by what those want that are there. */
function isKeptAway({ spec, constraints, placed }: ScheduleInputs, host: SimulatedHost): boolean {
  const termsOf = ({ affinity }: PlacementConstraints) =>
    affinity?.virtualMachineAndPodAntiAffinity?.requiredDuringSchedulingIgnoredDuringExecution ??
    [];
  if (termsOf(constraints).some((term) => isNear(term, spec, host, placed))) return true;
  return placed.some((other) =>
    termsOf(other.constraints).some(
      (term) =>
        labelsOf(other.host)[term.topologyKey] !== undefined &&
        labelsOf(other.host)[term.topologyKey] === labelsOf(host)[term.topologyKey] &&
        isMeant(term, other.spec, spec),
    ),
  );
}

function isSpread(
  { spec, constraints, hosts, placed }: ScheduleInputs,
  host: SimulatedHost,
): boolean {
  return constraints.topologySpreadConstraints.every((constraint) => {
    if (constraint.whenUnsatisfiable === "ScheduleAnyway") return true;
    const { topologyKey, labelSelector, maxSkew } = constraint;
    const own = labelsOf(host)[topologyKey];
    if (own === undefined) return false;
    const counts = new Map<string, number>();
    for (const each of hosts) {
      const place = labelsOf(each)[topologyKey];
      if (place !== undefined) counts.set(place, counts.get(place) ?? 0);
    }
    for (const other of placed) {
      const place = labelsOf(other.host)[topologyKey];
      const counted =
        other.spec.namespace === spec.namespace &&
        other.spec.uid !== spec.uid &&
        matchesSelector(labelSelector ?? {}, other.spec.labels ?? {});
      if (place !== undefined && counted) counts.set(place, (counts.get(place) ?? 0) + 1);
    }
    return (counts.get(own) ?? 0) + 1 - Math.min(...counts.values()) <= maxSkew;
  });
}

/** What the guest would rather have counts more than how much memory is left. */
function scoreOf({ spec, constraints, placed }: ScheduleInputs, host: SimulatedHost): number {
  const { affinity } = constraints;
  let wishes = 0;
  const nodes = affinity?.nodeAffinity?.preferredDuringSchedulingIgnoredDuringExecution ?? [];
  for (const { weight, preference } of nodes)
    if (matchesNodeTerm(preference, host)) wishes += weight;
  const near = affinity?.virtualMachineAndPodAffinity;
  const far = affinity?.virtualMachineAndPodAntiAffinity;
  for (const [terms, sign] of [
    [near?.preferredDuringSchedulingIgnoredDuringExecution ?? [], 1],
    [far?.preferredDuringSchedulingIgnoredDuringExecution ?? [], -1],
  ] as const) {
    for (const { weight, virtualMachineAndPodAffinityTerm: term } of terms)
      if (isNear(term, spec, host, placed)) wishes += sign * weight;
  }
  for (const { effect, key, value } of host.options.taints ?? []) {
    const taint = { effect: "NoSchedule", key, ...(value !== undefined && { value }) } as const;
    if (effect === "PreferNoSchedule" && untolerated([taint], constraints.tolerations)) wishes -= 1;
  }
  return wishes + host.freeBytes / (host.memoryBytes + 1);
}
