import type { Affinity, Toleration, TopologySpreadConstraint } from "../api/placement-terms.ts";
import type { LabelSelector } from "../api/selectors.ts";

/** Everything that a VM and its class say about nodes. */
export interface PlacementTerms {
  /** All must hold, each with whom it is of: `the VM`, or a class. */
  readonly nodeSelectors: readonly { readonly of: string; readonly selector: LabelSelector }[];
  readonly affinity?: Affinity;
  readonly tolerations?: readonly Toleration[];
  readonly topologySpreadConstraints?: readonly TopologySpreadConstraint[];
}

/** A VM as other VMs see it. */
export interface PlacedMachine {
  readonly namespace: string;
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly host: string;
  readonly affinity?: Affinity;
}
