import { type ConditionInput, findCondition } from "../api/conditions.ts";
import type { VirtualMachinePool, VirtualMachinePoolStatus } from "../api/virtual-machine-pool.ts";
import type { VirtualMachine } from "../api/virtual-machine.ts";
import { POOL_LABEL, TEMPLATE_HASH_LABEL, templateHash } from "./pool-members.ts";

/** What is known about a pool, from its VMs. */
export function poolStatus(
  pool: VirtualMachinePool,
  members: readonly VirtualMachine[],
): Omit<VirtualMachinePoolStatus, "conditions"> & {
  readonly conditions: readonly ConditionInput[];
} {
  const hash = templateHash(pool);
  const staying = members.filter(({ metadata }) => metadata.deletionTimestamp === undefined);
  const ready = staying.filter(({ status }) => status?.phase === "Running").length;
  const alike = staying.filter(({ metadata }) => metadata.labels?.[TEMPLATE_HASH_LABEL] === hash);
  const waiting = alike.filter(
    ({ status }) =>
      findCondition(status?.conditions, "AwaitingRestartToApplyConfiguration")?.status === "True",
  ).length;
  const wanted = pool.spec.replicas ?? staying.length;
  const counts = { wanted, present: members.length, ready };
  return {
    replicas: members.length,
    readyReplicas: ready,
    updatedReplicas: alike.length - waiting,
    restartPendingReplicas: waiting,
    desiredTemplateHash: hash,
    selector: `${POOL_LABEL}=${pool.metadata.name}`,
    conditions: [
      ...availability(counts),
      synchronisation(staying.length - alike.length, waiting),
    ].map((condition) => ({ ...condition, observedGeneration: pool.metadata.generation })),
    observedGeneration: pool.metadata.generation,
  };
}

function availability(counts: {
  readonly wanted: number;
  readonly present: number;
  readonly ready: number;
}): ConditionInput[] {
  const { wanted, present, ready } = counts;
  const available: ConditionInput =
    ready >= wanted
      ? { type: "Available", status: "True", reason: "AllReplicasReady", message: "" }
      : {
          type: "Available",
          status: "False",
          reason: "InsufficientReadyReplicas",
          message: `${ready} of ${wanted} replicas are ready.`,
        };
  if (present === wanted && ready === wanted) return [available];
  return [
    available,
    {
      type: "Progressing",
      status: "True",
      reason: "ReplicasProgressing",
      message: `${present} replicas exist and ${ready} are ready, of ${wanted} that are wanted.`,
    },
  ];
}

function synchronisation(outdated: number, waiting: number): ConditionInput {
  if (outdated > 0) {
    const message = `${outdated} replicas are not made like the present template yet.`;
    return { type: "Synced", status: "False", reason: "RolloutInProgress", message };
  }
  if (waiting > 0) {
    const message = `${waiting} replicas wait for a restart to be like the present template.`;
    return { type: "Synced", status: "False", reason: "RestartPendingApproval", message };
  }
  return { type: "Synced", status: "True", reason: "PoolSynced", message: "" };
}
