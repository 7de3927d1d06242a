import { type LabelSelector, matchesLabels } from "../api/selectors.ts";
import type { HostState } from "../backend/hypervisor.ts";
import { formatBytesApproximately } from "../util/quantity.ts";

/** The labels by which a host is chosen: its own, and its name as Kubernetes gives it to nodes. */
export function nodeLabels({ name, labels }: HostState): Readonly<Record<string, string>> {
  return { "kubernetes.io/hostname": name, ...labels };
}

/** What a place for a guest depends on. */
export interface PlacementInputs {
  readonly memoryBytes: number;
  readonly hosts: readonly HostState[];
  /** Memory that guests on each host have been promised, in bytes. */
  readonly promisedBytes: ReadonlyMap<string, number>;
  /** Hosts that reach every disk; absent when all do. */
  readonly reachingDisks: readonly string[] | undefined;
  /** All must match the host's labels. */
  readonly selectors: readonly LabelSelector[];
}

/** The chosen host, or why there is none. */
export type PlacementDecision =
  { readonly host: string } | { readonly host: undefined; readonly message: string };

/** Chooses the suitable host with the most memory left; of equal ones the first by name. */
export function decidePlacement(inputs: PlacementInputs): PlacementDecision {
  const { hosts, memoryBytes, promisedBytes, reachingDisks, selectors } = inputs;
  const rejected: string[] = [];
  let best: { host: string; free: number } | undefined;
  for (const host of hosts.toSorted((a, b) => (a.name < b.name ? -1 : 1))) {
    const free = host.memoryBytes - (promisedBytes.get(host.name) ?? 0);
    const objection = !host.reachable
      ? "does not answer"
      : reachingDisks && !reachingDisks.includes(host.name)
        ? "does not reach the disks"
        : !selectors.every((selector) => matchesLabels(selector, nodeLabels(host)))
          ? "does not match the node selector"
          : free < memoryBytes
            ? `has ${formatBytesApproximately(Math.max(free, 0))} of memory left, and the VM needs ${formatBytesApproximately(memoryBytes)}`
            : undefined;
    if (objection !== undefined) rejected.push(`${host.name} ${objection}`);
    else if (best === undefined || free > best.free) best = { host: host.name, free };
  }
  if (best) return { host: best.host };
  const reasons = rejected.length === 0 ? "there are no hosts" : rejected.join("; ");
  return { host: undefined, message: `No host can take the VM: ${reasons}.` };
}
