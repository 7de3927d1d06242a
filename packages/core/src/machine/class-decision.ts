import type { ConditionInput } from "../api/conditions.ts";
import { matchesLabels } from "../api/selectors.ts";
import type {
  VirtualMachineClass,
  VirtualMachineClassStatus,
} from "../api/virtual-machine-class.ts";
import { formatBytes } from "../util/quantity.ts";
import { cpuProblem, guestCpuModel, type HostCpu } from "./cpu-fit.ts";
import { condition } from "./machine-conditions.ts";

/** A node as classes see it. */
export interface ClassNode {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly cpu: HostCpu;
  readonly cpus: number;
  readonly memoryBytes: number;
}

/** What is said of a class, besides what a store adds. */
export type ClassDecision = Pick<
  VirtualMachineClassStatus,
  "phase" | "availableNodes" | "cpuFeatures" | "maxAllocatableResources"
> & { readonly conditions: readonly ConditionInput[] };

/**
 * Decides what CPU a class has and where its VMs can run. Features that were discovered once stay: otherwise the CPU of
 * running VMs would change under them. Source: DVP, "Class CPU types".
 */
export function decideClass(
  { spec, status }: Pick<VirtualMachineClass, "spec" | "status">,
  nodes: readonly ClassNode[],
): ClassDecision {
  const discovery = discover(spec, status?.cpuFeatures?.enabled, nodes);
  const { enabled } = discovery;
  const needsFeatures = spec.cpu.type === "Discovery" || spec.cpu.type === "Features";
  const hasFeatures = !needsFeatures || enabled.length > 0;
  const model = guestCpuModel(spec.cpu, enabled);
  const available = nodes.filter(
    ({ labels, cpu }) =>
      hasFeatures &&
      matchesLabels(spec.nodeSelector ?? {}, labels) &&
      cpuProblem(model, cpu) === undefined,
  );
  const common = commonFeatures(available).filter((feature) => !enabled.includes(feature));
  const ready = readyCondition(spec.cpu.type, hasFeatures, available.length > 0, discovery);
  return {
    phase: ready.status === "True" ? "Ready" : "Pending",
    availableNodes: available.map(({ name }) => name).sort(),
    ...(needsFeatures && hasFeatures && { cpuFeatures: { enabled, notEnabledCommon: common } }),
    ...(available.length > 0 && {
      maxAllocatableResources: {
        cpu: String(Math.max(...available.map(({ cpus }) => cpus))),
        memory: formatBytes(Math.max(...available.map(({ memoryBytes }) => memoryBytes))),
      },
    }),
    conditions: [ready, discovery.condition],
  };
}

interface Discovery {
  readonly enabled: readonly string[];
  readonly condition: ConditionInput;
}

function discover(
  { cpu }: VirtualMachineClass["spec"],
  pinned: readonly string[] | undefined,
  nodes: readonly ClassNode[],
): Discovery {
  const type = "Discovered";
  if (cpu.type !== "Discovery") {
    const message = `Discovery not needed for cpu.type "${cpu.type}"`;
    return {
      enabled: cpu.type === "Features" ? (cpu.features ?? []) : [],
      condition: condition(type, "False", "DiscoverySkip", message),
    };
  }
  if (pinned !== undefined && pinned.length > 0)
    return { enabled: pinned, condition: condition(type, "True", "DiscoverySucceeded") };
  const failed = (message: string): Discovery => ({
    enabled: [],
    condition: condition(type, "False", "DiscoveryFailed", message),
  });
  const pool = nodes.filter(({ labels }) =>
    matchesLabels(cpu.discovery?.nodeSelector ?? {}, labels),
  );
  if (pool.length === 0)
    return failed("No nodes match the discovery nodeSelector, can't discover common CPU features.");
  const enabled = commonFeatures(pool);
  return enabled.length === 0
    ? failed("No common CPU features are discovered across discovery nodes.")
    : { enabled, condition: condition(type, "True", "DiscoverySucceeded") };
}

/** What all nodes that say something have. */
function commonFeatures(nodes: readonly ClassNode[]): string[] {
  const lists = nodes.flatMap(({ cpu }) => (cpu ? [cpu.features] : []));
  const [first, ...others] = lists;
  return (first ?? [])
    .filter((feature) => others.every((list) => list.includes(feature)))
    .toSorted();
}

function readyCondition(
  type: VirtualMachineClass["spec"]["cpu"]["type"],
  hasFeatures: boolean,
  hasNodes: boolean,
  discovery: Discovery,
): ConditionInput {
  if (!hasFeatures)
    return condition("Ready", "False", "NoCpuFeaturesEnabled", discovery.condition.message);
  if (hasNodes) return condition("Ready", "True", "SuitableNodesFound");
  // A class of the hosts' own CPU suits whatever nodes there will be.
  const status = type === "Host" || type === "HostPassthrough" ? "True" : "False";
  const message =
    type === "Discovery"
      ? "No available nodes expose all discovered CPU features."
      : "No node matches spec.nodeSelector and has the CPU of the class.";
  return condition("Ready", status, "NoSuitableNodesFound", message);
}
