import * as z from "zod";
import { nonEmpty } from "./fields.ts";
import {
  type LabelSelector,
  type LabelSelectorRequirement,
  labelSelectorSchema,
} from "./selectors.ts";

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

const nodeRequirements = z
  .array(
    z.strictObject({
      key: nonEmpty,
      operator: z.enum(["In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"]),
      values: z.array(z.string()).exactOptional(),
    }),
  )
  .exactOptional();

const nodeSelectorTerm: z.ZodType<NodeSelectorTerm, NodeSelectorTerm> = z.strictObject({
  matchExpressions: nodeRequirements,
  matchFields: nodeRequirements,
});

const weight = z.int().min(1).max(100);

const affinityTerm: z.ZodType<AffinityTerm, AffinityTerm> = z.strictObject({
  labelSelector: labelSelectorSchema.exactOptional(),
  topologyKey: nonEmpty,
  namespaces: z.array(nonEmpty).exactOptional(),
  namespaceSelector: labelSelectorSchema.exactOptional(),
  matchLabelKeys: z.array(nonEmpty).exactOptional(),
  mismatchLabelKeys: z.array(nonEmpty).exactOptional(),
});

const machineAffinity: z.ZodType<MachineAffinity, MachineAffinity> = z.strictObject({
  requiredDuringSchedulingIgnoredDuringExecution: z.array(affinityTerm).exactOptional(),
  preferredDuringSchedulingIgnoredDuringExecution: z
    .array(z.strictObject({ weight, virtualMachineAndPodAffinityTerm: affinityTerm }))
    .exactOptional(),
});

/** {@link Affinity} as users write it. */
export const affinitySchema: z.ZodType<Affinity, Affinity> = z.strictObject({
  nodeAffinity: z
    .strictObject({
      requiredDuringSchedulingIgnoredDuringExecution: z
        .strictObject({ nodeSelectorTerms: z.array(nodeSelectorTerm).min(1) })
        .exactOptional(),
      preferredDuringSchedulingIgnoredDuringExecution: z
        .array(z.strictObject({ weight, preference: nodeSelectorTerm }))
        .exactOptional(),
    })
    .exactOptional(),
  virtualMachineAndPodAffinity: machineAffinity.exactOptional(),
  virtualMachineAndPodAntiAffinity: machineAffinity.exactOptional(),
});

const taintEffect = z.enum(["NoSchedule", "PreferNoSchedule", "NoExecute"]);

/** A list of {@link Toleration} as users write it. */
export const tolerationsSchema: z.ZodType<readonly Toleration[], readonly Toleration[]> = z.array(
  z.strictObject({
    key: nonEmpty.exactOptional(),
    operator: z.enum(["Exists", "Equal"]).exactOptional(),
    value: z.string().exactOptional(),
    effect: taintEffect.exactOptional(),
    tolerationSeconds: z.int().exactOptional(),
  }),
);

/** A list of {@link TopologySpreadConstraint} as users write it. */
export const topologySpreadSchema: z.ZodType<
  readonly TopologySpreadConstraint[],
  readonly TopologySpreadConstraint[]
> = z.array(
  z.strictObject({
    maxSkew: z.int().min(1),
    topologyKey: nonEmpty,
    whenUnsatisfiable: z.enum(["DoNotSchedule", "ScheduleAnyway"]),
    labelSelector: labelSelectorSchema.exactOptional(),
  }),
);

/** A list of {@link Taint} as users write it. */
export const taintsSchema: z.ZodType<readonly Taint[], readonly Taint[]> = z.array(
  z.strictObject({
    key: nonEmpty,
    value: z.string().exactOptional(),
    effect: taintEffect,
  }),
);
