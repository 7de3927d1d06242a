import * as z from "zod";
import { type Condition, findCondition } from "./conditions.ts";
import type { KindDefinition } from "./kind.ts";
import type { Resource } from "./meta.ts";
import { type Taint, taintsSchema } from "./placement-terms.ts";

/** A host that guests run on, as its hypervisor reports it. Source: Kubernetes `core/v1` `Node`. */
export interface Node extends Resource {
  readonly kind: "Node";
  readonly spec: NodeSpec;
  readonly status?: NodeStatus;
}

/** What an administrator wants of a {@link Node}. */
export interface NodeSpec {
  /** True to keep new guests away ("cordon"); those that run there stay. */
  readonly unschedulable?: boolean;
  /** Keep away VMs that do not tolerate them. */
  readonly taints?: readonly Taint[];
}

/** What is written of a {@link Node}. */
export interface NodeInput {
  readonly spec?: NodeSpec | undefined;
}

/** What a hypervisor reports of a host. */
export interface NodeStatus {
  readonly capacity: { readonly cpu: string; readonly memory: string };
  readonly allocatable: { readonly cpu: string; readonly memory: string };
  readonly nodeInfo: {
    readonly bootID?: string;
    readonly hypervisor: string;
    readonly hypervisorVersion: string;
  };
  /** True while the hypervisor itself, a cluster that schedules, puts no new guests there. */
  readonly unschedulable?: boolean;
  /** Taints that the hypervisor itself has put there. */
  readonly taints?: readonly Taint[];
  /** Guests that run there and are not ours, by the hypervisor's names; they are never touched. */
  readonly unknownGuests: readonly string[];
  readonly conditions: readonly Condition[];
}

function readiness({ spec, status }: Node): string {
  const ready = findCondition(status?.conditions, "Ready")?.status === "True";
  const state = ready ? "Ready" : "NotReady";
  const closed = spec.unschedulable === true || status?.unschedulable === true;
  return closed ? `${state},SchedulingDisabled` : state;
}

/** The kind {@link Node}. */
export const NODE: KindDefinition<Node, NodeInput> = {
  apiVersion: "v1",
  kind: "Node",
  plural: "nodes",
  shortNames: ["no"],
  namespaced: false,
  schema: z.strictObject({
    spec: z
      .strictObject({
        unschedulable: z.boolean().exactOptional(),
        taints: taintsSchema.exactOptional(),
      })
      .default({}),
  }),
  columns: [
    { name: "Status", value: readiness },
    {
      name: "Version",
      value: ({ status }) =>
        status && `${status.nodeInfo.hypervisor} ${status.nodeInfo.hypervisorVersion}`,
    },
  ],
};
