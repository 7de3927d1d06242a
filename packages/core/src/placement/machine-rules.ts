import { type LabelSelector, matchesLabels } from "../api/selectors.ts";
import type { AffinityTerm, TopologySpreadConstraint } from "../api/placement-terms.ts";
import type { PlacedMachine } from "./placement-terms.ts";

type Labels = Readonly<Record<string, string>>;

/** The VM that is to be placed. */
export interface MachineFacts {
  readonly namespace: string;
  readonly name: string;
  readonly labels: Labels;
}

/** Labels of nodes and of namespaces, by name. */
export interface Surroundings {
  readonly nodes: ReadonlyMap<string, Labels>;
  readonly namespaces: ReadonlyMap<string, Labels>;
}

/** True when a term of `owner` chooses `other`. */
export function choosesMachine(
  term: AffinityTerm,
  owner: MachineFacts,
  other: MachineFacts,
  { namespaces }: Surroundings,
): boolean {
  return (
    inNamespaces(term, owner, other.namespace, namespaces) &&
    term.labelSelector !== undefined &&
    matchesLabels(term.labelSelector, other.labels) &&
    (term.matchLabelKeys ?? []).every(
      (key) => owner.labels[key] === undefined || owner.labels[key] === other.labels[key],
    ) &&
    (term.mismatchLabelKeys ?? []).every(
      (key) => owner.labels[key] === undefined || owner.labels[key] !== other.labels[key],
    )
  );
}

function inNamespaces(
  { namespaces: names = [], namespaceSelector }: AffinityTerm,
  owner: MachineFacts,
  namespace: string,
  known: ReadonlyMap<string, Labels>,
): boolean {
  if (names.includes(namespace)) return true;
  if (namespaceSelector !== undefined) {
    // Kubernetes gives every namespace its name as a label.
    const labels = { "kubernetes.io/metadata.name": namespace, ...known.get(namespace) };
    return matchesLabels(namespaceSelector, labels);
  }
  return names.length === 0 && namespace === owner.namespace;
}

/**
 * The first VM that a term chooses and that is near to the host: in the same domain of the term's topology.
 */
export function chosenNearby(
  term: AffinityTerm,
  owner: MachineFacts,
  host: string,
  machines: Iterable<PlacedMachine>,
  surroundings: Surroundings,
): PlacedMachine | undefined {
  const domain = domainOf(host, term.topologyKey, surroundings);
  if (domain === undefined) return undefined;
  for (const machine of machines) {
    if (isSame(machine, owner)) continue;
    if (domainOf(machine.host, term.topologyKey, surroundings) !== domain) continue;
    if (choosesMachine(term, owner, machine, surroundings)) return machine;
  }
  return undefined;
}

/** True when any VM at all is chosen by the term. */
export function choosesAny(
  term: AffinityTerm,
  owner: MachineFacts,
  machines: Iterable<PlacedMachine>,
  surroundings: Surroundings,
): boolean {
  for (const machine of machines) {
    if (!isSame(machine, owner) && choosesMachine(term, owner, machine, surroundings)) return true;
  }
  return false;
}

/**
 * How much the host's domain would be ahead of the emptiest one with the VM there; `undefined` for a host that belongs to
 * no domain.
 *
 * @param eligible The hosts that the VM may run on by its other terms: only their domains count.
 */
export function skewOf(
  constraint: TopologySpreadConstraint,
  owner: MachineFacts,
  host: string,
  eligible: readonly string[],
  machines: Iterable<PlacedMachine>,
  surroundings: Surroundings,
): number | undefined {
  const { topologyKey, labelSelector } = constraint;
  const own = domainOf(host, topologyKey, surroundings);
  if (own === undefined) return undefined;
  const counts = new Map<string, number>();
  for (const name of eligible) {
    const domain = domainOf(name, topologyKey, surroundings);
    if (domain !== undefined) counts.set(domain, 0);
  }
  for (const machine of machines) {
    if (isSame(machine, owner) || machine.namespace !== owner.namespace) continue;
    const domain = domainOf(machine.host, topologyKey, surroundings);
    const count = domain === undefined ? undefined : counts.get(domain);
    if (count === undefined || domain === undefined || !isChosen(labelSelector, machine)) continue;
    counts.set(domain, count + 1);
  }
  const least = Math.min(...counts.values());
  return (counts.get(own) ?? 0) + (isChosen(labelSelector, owner) ? 1 : 0) - least;
}

function isChosen(selector: LabelSelector | undefined, { labels }: { labels: Labels }): boolean {
  return selector !== undefined && matchesLabels(selector, labels);
}

function isSame(one: MachineFacts, other: MachineFacts): boolean {
  return one.name === other.name && one.namespace === other.namespace;
}

function domainOf(host: string, key: string, { nodes }: Surroundings): string | undefined {
  return nodes.get(host)?.[key];
}
