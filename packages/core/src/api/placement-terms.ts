import type { LabelSelector, LabelSelectorRequirement } from "./selectors.ts";

/** What keeps guests away from a node unless they tolerate it. Source: Kubernetes `v1.Taint`. */
export interface Taint {
  readonly key: string;
  readonly value?: string;
  readonly effect: "NoSchedule" | "PreferNoSchedule" | "NoExecute";
}

/** A taint that a VM puts up with. Source: Kubernetes `v1.Toleration`. */
export interface Toleration {
  /** Absent with `Exists`: every key. */
  readonly key?: string;
  /** Default `Equal`. */
  readonly operator?: "Exists" | "Equal";
  readonly value?: string;
  /** Absent: every effect. */
  readonly effect?: Taint["effect"];
  readonly tolerationSeconds?: number;
}

/** A term of {@link NodeAffinity}: all of it must hold. `Gt` and `Lt` compare whole numbers. */
export interface NodeSelectorTerm {
  readonly matchExpressions?: readonly NodeSelectorRequirement[];
  /** Only `metadata.name`. */
  readonly matchFields?: readonly NodeSelectorRequirement[];
}

/** One comparison of a node's label or field. */
export interface NodeSelectorRequirement {
  readonly key: string;
  readonly operator: LabelSelectorRequirement["operator"] | "Gt" | "Lt";
  readonly values?: readonly string[];
}

/** Nodes that a VM must or would rather run on. Source: Kubernetes `v1.NodeAffinity`. */
export interface NodeAffinity {
  /** One of the terms must hold. */
  readonly requiredDuringSchedulingIgnoredDuringExecution?: {
    readonly nodeSelectorTerms: readonly NodeSelectorTerm[];
  };
  readonly preferredDuringSchedulingIgnoredDuringExecution?: readonly {
    /** 1 to 100. */
    readonly weight: number;
    readonly preference: NodeSelectorTerm;
  }[];
}

/** Other VMs, told by labels, and what counts as being together with them. Source: Kubernetes `v1.PodAffinityTerm`. */
export interface AffinityTerm {
  readonly labelSelector?: LabelSelector;
  /** Nodes with the same value of this label are one place. */
  readonly topologyKey: string;
  /** Default: the VM's own namespace. */
  readonly namespaces?: readonly string[];
  readonly namespaceSelector?: LabelSelector;
  /** Labels of the VM whose values the others must have as well. */
  readonly matchLabelKeys?: readonly string[];
  /** Labels of the VM whose values the others must not have. */
  readonly mismatchLabelKeys?: readonly string[];
}

/** VMs that a VM must or would rather be near to, or away from. */
export interface MachineAffinity {
  readonly requiredDuringSchedulingIgnoredDuringExecution?: readonly AffinityTerm[];
  readonly preferredDuringSchedulingIgnoredDuringExecution?: readonly {
    /** 1 to 100. */
    readonly weight: number;
    readonly virtualMachineAndPodAffinityTerm: AffinityTerm;
  }[];
}

/** Where a VM is wanted, in relation to nodes and to other VMs. */
export interface Affinity {
  readonly nodeAffinity?: NodeAffinity;
  readonly virtualMachineAndPodAffinity?: MachineAffinity;
  readonly virtualMachineAndPodAntiAffinity?: MachineAffinity;
}

/** How evenly VMs are spread. Source: Kubernetes `v1.TopologySpreadConstraint`. */
export interface TopologySpreadConstraint {
  readonly maxSkew: number;
  readonly topologyKey: string;
  readonly whenUnsatisfiable: "DoNotSchedule" | "ScheduleAnyway";
  readonly labelSelector?: LabelSelector;
}
