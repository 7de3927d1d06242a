import type { LabelSelector } from "../api/selectors.ts";

/** One requirement on the labels or fields of a node. Source: Kubernetes `NodeSelectorRequirement`. */
export interface NodeRequirement {
  readonly key: string;
  readonly operator: "In" | "NotIn" | "Exists" | "DoesNotExist" | "Gt" | "Lt";
  readonly values?: readonly string[];
}

/** Requirements that must all hold; none at all chooses no node. Source: Kubernetes `NodeSelectorTerm`. */
export interface NodeTerm {
  readonly matchExpressions?: readonly NodeRequirement[];
  /** `metadata.name` is the only field. */
  readonly matchFields?: readonly NodeRequirement[];
}

/** Names VMs and the topology within which they count as near. Source: Kubernetes `PodAffinityTerm`. */
export interface MachineTerm {
  readonly topologyKey: string;
  /** Absent: chooses nothing. */
  readonly labelSelector?: LabelSelector;
  readonly namespaceSelector?: LabelSelector;
  /** Default, without a `namespaceSelector`: the VM's own. */
  readonly namespaces?: readonly string[];
  readonly matchLabelKeys?: readonly string[];
  readonly mismatchLabelKeys?: readonly string[];
}

/** Terms about other VMs that must or should hold. */
export interface MachineAffinity {
  readonly requiredDuringSchedulingIgnoredDuringExecution?: readonly MachineTerm[];
  readonly preferredDuringSchedulingIgnoredDuringExecution?: readonly {
    readonly weight: number;
    readonly virtualMachineAndPodAffinityTerm: MachineTerm;
  }[];
}

/** Where a VM must or should run. Source: the DVP user guide, "Placement of VMs by nodes". */
export interface Affinity {
  readonly nodeAffinity?: {
    readonly requiredDuringSchedulingIgnoredDuringExecution?: {
      readonly nodeSelectorTerms: readonly NodeTerm[];
    };
    readonly preferredDuringSchedulingIgnoredDuringExecution?: readonly {
      readonly weight: number;
      readonly preference: NodeTerm;
    }[];
  };
  readonly virtualMachineAndPodAffinity?: MachineAffinity;
  readonly virtualMachineAndPodAntiAffinity?: MachineAffinity;
}

/** A taint that is put up with. Source: Kubernetes `Toleration`. */
export interface Toleration {
  /** Absent with `Exists`: every taint. */
  readonly key?: string;
  /** Default `Equal`. */
  readonly operator?: "Equal" | "Exists";
  readonly value?: string;
  /** Absent: every effect. */
  readonly effect?: "NoSchedule" | "PreferNoSchedule" | "NoExecute";
}

/** Keeps VMs off a node. Source: Kubernetes `Taint`. */
export interface Taint {
  readonly key: string;
  readonly value?: string;
  readonly effect: "NoSchedule" | "PreferNoSchedule" | "NoExecute";
}

/** How evenly VMs are spread. Source: Kubernetes `TopologySpreadConstraint`. */
export interface SpreadConstraint {
  readonly maxSkew: number;
  readonly topologyKey: string;
  readonly whenUnsatisfiable: "DoNotSchedule" | "ScheduleAnyway";
  readonly labelSelector?: LabelSelector;
}

/** Everything that a VM and its class say about nodes. */
export interface PlacementTerms {
  /** All must hold, each with whom it is of: `the VM`, or a class. */
  readonly nodeSelectors: readonly { readonly of: string; readonly selector: LabelSelector }[];
  readonly affinity?: Affinity;
  readonly tolerations?: readonly Toleration[];
  readonly topologySpreadConstraints?: readonly SpreadConstraint[];
}

/** A VM as other VMs see it. */
export interface PlacedMachine {
  readonly namespace: string;
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly host: string;
  readonly affinity?: Affinity;
}
