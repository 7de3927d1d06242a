import type { Taint } from "../api/placement-terms.ts";
import { matchesLabels } from "../api/selectors.ts";
import { formatBytesApproximately } from "../util/quantity.ts";
import {
  choosesAny,
  choosesMachine,
  chosenNearby,
  type MachineFacts,
  skewOf,
  type Surroundings,
} from "./machine-rules.ts";
import { describeTaint, matchesNodeTerm, untoleratedTaint } from "./node-rules.ts";
import type { PlacedMachine, PlacementTerms } from "./placement-terms.ts";

/** A host that a VM could be placed on. */
export interface PlacementHost {
  readonly name: string;
  /** False when it does not answer. */
  readonly reachable: boolean;
  /** True while no VM may come to it. */
  readonly unschedulable: boolean;
  /** With its name as `kubernetes.io/hostname`. */
  readonly labels: Readonly<Record<string, string>>;
  readonly taints: readonly Taint[];
  /** Why it cannot run the guest whatever the terms say, such as `has no CPU feature avx2`. */
  readonly objection?: string;
  /** What has not been promised to guests. */
  readonly freeMemoryBytes: number;
  readonly freeMillicores: number;
}

/** What a place for a guest depends on. */
export interface PlacementInputs {
  readonly machine: MachineFacts;
  readonly terms: PlacementTerms;
  readonly memoryBytes: number;
  /** Thousandths of a core that are set aside. */
  readonly millicores: number;
  readonly hosts: readonly PlacementHost[];
  /** Hosts that reach every disk; absent when all do. */
  readonly reachingDisks?: readonly string[] | undefined;
  /** VMs that have a place already. Looked at only when a term is about VMs. */
  readonly machines: Iterable<PlacedMachine>;
  /** Those of them with anti-affinity: they keep others away too. */
  readonly antiAffine: Iterable<PlacedMachine>;
  /** Labels of namespaces by name. */
  readonly namespaces: ReadonlyMap<string, Readonly<Record<string, string>>>;
}

/** A host that does not fit, with the reason for a person: "does not answer". */
interface RejectedHost {
  readonly host: string;
  readonly reason: string;
}

/** The chosen host, or why there is none; in both cases why other hosts do not fit. */
export type PlacementDecision =
  | { readonly host: string; readonly rejected: readonly RejectedHost[] }
  | {
      readonly host: undefined;
      readonly rejected: readonly RejectedHost[];
      readonly message: string;
    };

/**
 * Chooses a host. Of those that fit the one with the highest sum of preferences, then the one with the most memory left,
 * then the first by name.
 */
export function decidePlacement(inputs: PlacementInputs): PlacementDecision {
  const { hosts, namespaces } = inputs;
  const nodes = new Map(hosts.map(({ name, labels }) => [name, labels]));
  const around: Surroundings = { nodes, namespaces };
  const eligible = hosts.filter((host) => nodeProblem(inputs, host) === undefined);
  const names = eligible.map(({ name }) => name);
  const rejected: RejectedHost[] = [];
  let best: { readonly host: PlacementHost; readonly score: number } | undefined;
  for (const host of hosts) {
    const reason =
      stateProblem(inputs, host) ??
      nodeProblem(inputs, host) ??
      machineProblem(inputs, host, around) ??
      spreadProblem(inputs, host, names, around) ??
      capacityProblem(inputs, host);
    if (reason !== undefined) {
      rejected.push({ host: host.name, reason });
      continue;
    }
    const score = preference(inputs, host, names, around);
    if (best === undefined || isBetter({ host, score }, best)) best = { host, score };
  }
  rejected.sort((a, b) => (a.host < b.host ? -1 : 1));
  if (best) return { host: best.host.name, rejected };
  const reasons = rejected.map(({ host, reason }) => `${host} ${reason}`).join("; ");
  const message = `No host can take the VM: ${reasons || "there are no hosts"}.`;
  return { host: undefined, rejected, message };
}

type Candidate = { readonly host: PlacementHost; readonly score: number };

function isBetter(one: Candidate, other: Candidate): boolean {
  if (one.score !== other.score) return one.score > other.score;
  const difference = one.host.freeMemoryBytes - other.host.freeMemoryBytes;
  return difference === 0 ? one.host.name < other.host.name : difference > 0;
}

function stateProblem(
  { reachingDisks, terms }: PlacementInputs,
  host: PlacementHost,
): string | undefined {
  if (!host.reachable) return "does not answer";
  if (host.unschedulable) return "is closed to VMs (spec.unschedulable)";
  const taint = untoleratedTaint(host.taints, terms.tolerations, ["NoSchedule", "NoExecute"]);
  if (taint) return `has the taint ${describeTaint(taint)}, which the VM does not tolerate`;
  if (reachingDisks && !reachingDisks.includes(host.name)) return "does not reach the disks";
  return host.objection;
}

function nodeProblem({ terms }: PlacementInputs, host: PlacementHost): string | undefined {
  for (const { of, selector } of terms.nodeSelectors) {
    if (!matchesLabels(selector, host.labels)) return `does not match the node selector of ${of}`;
  }
  const required = terms.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution;
  if (required && !required.nodeSelectorTerms.some((term) => matchesNodeTerm(term, host)))
    return "does not match the node affinity of the VM";
  return undefined;
}

function machineProblem(
  { machine, terms, machines, antiAffine }: PlacementInputs,
  { name }: PlacementHost,
  around: Surroundings,
): string | undefined {
  const { virtualMachineAndPodAffinity: near, virtualMachineAndPodAntiAffinity: apart } =
    terms.affinity ?? {};
  for (const term of near?.requiredDuringSchedulingIgnoredDuringExecution ?? []) {
    const domain = around.nodes.get(name)?.[term.topologyKey];
    // The first of a group that wants to be together has nobody to be with yet.
    const isFirst =
      domain !== undefined &&
      choosesMachine(term, machine, machine, around) &&
      !choosesAny(term, machine, machines, around);
    if (!isFirst && chosenNearby(term, machine, name, machines, around) === undefined)
      return `has no VM of the required VM affinity within its ${term.topologyKey}`;
  }
  for (const term of apart?.requiredDuringSchedulingIgnoredDuringExecution ?? []) {
    const other = chosenNearby(term, machine, name, machines, around);
    if (other) return `is kept free by anti-affinity to VM "${other.namespace}/${other.name}"`;
  }
  for (const other of antiAffine) {
    const required =
      other.affinity?.virtualMachineAndPodAntiAffinity
        ?.requiredDuringSchedulingIgnoredDuringExecution ?? [];
    const here: PlacedMachine = { ...machine, host: name };
    if (required.some((term) => chosenNearby(term, other, other.host, [here], around)))
      return `is kept free by the anti-affinity of VM "${other.namespace}/${other.name}"`;
  }
  return undefined;
}

function spreadProblem(
  { terms, machine, machines }: PlacementInputs,
  { name }: PlacementHost,
  eligible: readonly string[],
  around: Surroundings,
): string | undefined {
  for (const constraint of terms.topologySpreadConstraints ?? []) {
    if (constraint.whenUnsatisfiable !== "DoNotSchedule") continue;
    const skew = skewOf(constraint, machine, name, eligible, machines, around);
    if (skew === undefined) return `has no label ${constraint.topologyKey} to spread VMs by`;
    if (skew > constraint.maxSkew)
      return `would be ${skew} VMs ahead within its ${constraint.topologyKey}, and ${constraint.maxSkew} is allowed`;
  }
  return undefined;
}

function capacityProblem(
  { memoryBytes, millicores }: PlacementInputs,
  { freeMemoryBytes, freeMillicores }: PlacementHost,
): string | undefined {
  if (freeMemoryBytes < memoryBytes)
    return `has ${formatBytesApproximately(Math.max(freeMemoryBytes, 0))} of memory left, and the VM needs ${formatBytesApproximately(memoryBytes)}`;
  if (freeMillicores < millicores)
    return `has ${Math.max(freeMillicores, 0) / 1000} CPU cores left, and the VM needs ${millicores / 1000}`;
  return undefined;
}

function preference(
  { terms, machine, machines }: PlacementInputs,
  host: PlacementHost,
  eligible: readonly string[],
  around: Surroundings,
): number {
  const {
    nodeAffinity,
    virtualMachineAndPodAffinity: near,
    virtualMachineAndPodAntiAffinity: apart,
  } = terms.affinity ?? {};
  let score = 0;
  for (const {
    weight,
    preference: term,
  } of nodeAffinity?.preferredDuringSchedulingIgnoredDuringExecution ?? [])
    if (matchesNodeTerm(term, host)) score += weight;
  for (const [preferred, sign] of [
    [near?.preferredDuringSchedulingIgnoredDuringExecution ?? [], 1],
    [apart?.preferredDuringSchedulingIgnoredDuringExecution ?? [], -1],
  ] as const) {
    for (const { weight, virtualMachineAndPodAffinityTerm: term } of preferred)
      if (chosenNearby(term, machine, host.name, machines, around)) score += sign * weight;
  }
  for (const constraint of terms.topologySpreadConstraints ?? []) {
    if (constraint.whenUnsatisfiable !== "ScheduleAnyway") continue;
    const skew = skewOf(constraint, machine, host.name, eligible, machines, around);
    score -= Math.max((skew ?? constraint.maxSkew + 1) - constraint.maxSkew, 0);
  }
  // As heavy as the heaviest single preference of a user.
  if (untoleratedTaint(host.taints, terms.tolerations, ["PreferNoSchedule"])) score -= 100;
  return score;
}
