import type { Affinity, Toleration, TopologySpreadConstraint } from "../api/placement-terms.ts";
import type { LabelSelector } from "../api/selectors.ts";

/** What a cluster that schedules by itself must keep to. */
export interface PlacementConstraints {
  /** The host must satisfy all. */
  readonly nodeSelectors: readonly LabelSelector[];
  readonly affinity?: Affinity;
  readonly tolerations: readonly Toleration[];
  readonly topologySpreadConstraints: readonly TopologySpreadConstraint[];
  /** CPU features that the host must have. */
  readonly cpuFeatures: readonly string[];
}

/** Where a guest is to run: on a host that we name, or where the hypervisor's own scheduler puts it. */
export type Placement = { readonly host: string } | { readonly within: PlacementConstraints };
