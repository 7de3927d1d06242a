import type { ResourceResult } from "../api/clone-naming.ts";
import { type ObjectMeta, type Resource, V1ALPHA2 } from "../api/meta.ts";
import type { PlannedKind, PlannedObject, SnapshotPlan } from "../snapshots/snapshot-plan.ts";
import type { ResourceStore } from "../store/resource-store.ts";
import { jsonEquals } from "../util/json.ts";
import type { ControllerContext } from "./controller-context.ts";
import { OPERATION_ANNOTATION } from "./existing-objects.ts";

/** The results of a plan that is not carried out. */
export function resultsOf({ objects }: SnapshotPlan, isDone: string): ResourceResult[] {
  return objects.map((object) => ({
    ...identityOf(object),
    status: object.problem === undefined ? "Completed" : "Failed",
    message: object.problem ?? isDone,
  }));
}

/**
 * Takes every object of a plan as far as that can be done now, and says how each stands. It is to be called again until
 * none is `InProgress`; what the operation has made before is known by its annotation.
 */
export async function carryOut(
  { objects }: SnapshotPlan,
  operation: { readonly uid: string; readonly namespace: string },
  { store }: ControllerContext,
): Promise<ResourceResult[]> {
  const results: ResourceResult[] = [];
  for (const object of objects) {
    const state = await bringAbout(object, operation, store);
    results.push({ ...identityOf(object), ...state });
  }
  return results;
}

type State = Pick<ResourceResult, "status" | "message">;

const DONE: State = { status: "Completed", message: "" };

async function bringAbout(
  object: PlannedObject,
  { uid, namespace }: { readonly uid: string; readonly namespace: string },
  store: ResourceStore,
): Promise<State> {
  const { kind, name, action } = object;
  const found = await store.get(kind, { name, namespace });
  const isMine = found?.metadata.annotations?.[OPERATION_ANNOTATION] === uid;
  if (found !== undefined && (isMine || action === "keep")) return stateOf(found);
  if (found === undefined) {
    await store.create(kind, newResource(object, { uid, namespace }) as never);
    return { status: "InProgress", message: "It is being made." };
  }
  if (action === "update") {
    const wanted = updated(found, object);
    if (!jsonEquals(wanted, found)) await store.update(kind, wanted as never);
    return DONE;
  }
  if (action === "create") {
    return { status: "Failed", message: `${kind} with name ${name} already exists` };
  }
  const { uid: present, deletionTimestamp } = found.metadata;
  if (deletionTimestamp === undefined)
    await store.delete(kind, { name, namespace }, { uid: present });
  return { status: "InProgress", message: "What was there before is being deleted." };
}

function newResource(
  { kind, name, manifest }: PlannedObject,
  { uid, namespace }: { readonly uid: string; readonly namespace: string },
): object {
  const { labels, annotations, spec, type, data } = manifest;
  return {
    apiVersion: apiVersionOf(kind),
    kind,
    metadata: {
      name,
      namespace,
      ...(labels && { labels }),
      annotations: { ...annotations, [OPERATION_ANNOTATION]: uid },
    },
    ...(spec && { spec }),
    ...(type !== undefined && { type }),
    ...(data && { data }),
  };
}

/** What is there with the spec of the plan; of a machine, with its labels and annotations as well. */
function updated(found: Resource, { kind, manifest }: PlannedObject): Resource {
  const spec = manifest.spec ?? found.spec;
  if (kind !== "VirtualMachine") return { ...found, spec };
  const { labels: _, annotations: __, ...metadata }: ObjectMeta = found.metadata;
  const { labels, annotations } = manifest;
  return {
    ...found,
    metadata: { ...metadata, ...(labels && { labels }), ...(annotations && { annotations }) },
    spec,
  };
}

function stateOf({ kind, status }: Resource): State {
  const { phase, conditions = [] } = (status ?? {}) as {
    readonly phase?: string;
    readonly conditions?: readonly { readonly status: string; readonly message: string }[];
  };
  const why = conditions.find((condition) => condition.status === "False")?.message ?? "";
  if (kind === "VirtualDisk") {
    if (phase === "Ready" || phase === "WaitForFirstConsumer") return DONE;
    return { status: phase === "Failed" ? "Failed" : "InProgress", message: why };
  }
  if (kind === "VirtualMachineIPAddress" || kind === "VirtualMachineMACAddress") {
    return phase === "Bound" || phase === "Attached"
      ? DONE
      : { status: "InProgress", message: why };
  }
  return DONE;
}

function identityOf({
  kind,
  name,
}: PlannedObject): Pick<ResourceResult, "apiVersion" | "kind" | "name"> {
  return { apiVersion: apiVersionOf(kind), kind, name };
}

function apiVersionOf(kind: PlannedKind): string {
  return kind === "Secret" ? "v1" : V1ALPHA2;
}
