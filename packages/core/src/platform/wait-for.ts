import { type Condition, findCondition } from "../api/conditions.ts";
import type { Kind, Kinds } from "../api/kinds.ts";
import { keyOf, type Resource } from "../api/meta.ts";
import type { ResourceName, ResourceStore } from "../store/resource-store.ts";
import type { Clock } from "../util/clock.ts";
import { isPolyvisorError, PolyvisorError } from "../util/errors.ts";

/** What is waited for; the first that is named counts. */
export type WaitGoal<R> =
  /** `status.phase` has this value. Ends with an error when it becomes `Failed`, or `Superseded`, instead. */
  | { readonly phase: string }
  /** The condition of this type has the status `True`. */
  | { readonly condition: string }
  | { readonly deleted: true }
  | { readonly until: (resource: R) => boolean };

interface Observed {
  readonly phase?: string;
  readonly conditions?: readonly Condition[];
  readonly observedGeneration?: number;
}

/** See `ResourceClient.waitFor`. With `deleted`, the resource is given back as it last was. */
export async function waitForResource<K extends Kind>(
  store: ResourceStore,
  clock: Clock,
  kind: K,
  name: ResourceName,
  goal: WaitGoal<Kinds[K]>,
  options: { readonly signal?: AbortSignal; readonly timeout?: number },
): Promise<Kinds[K]> {
  const { timeout, signal: outer } = options;
  const ending = new AbortController();
  const signal = outer ? AbortSignal.any([outer, ending.signal]) : ending.signal;
  const timer = timeout === undefined ? undefined : clock.setTimer(timeout, () => ending.abort());
  let last: Kinds[K] | undefined;
  try {
    while (!signal.aborted) {
      // Watched before it is read, so that no change falls between the two.
      const events = store.watch(kind, { signal });
      const present = await store.get(kind, name);
      if (present === undefined && "deleted" in goal) {
        if (last !== undefined) return last;
        throw notFound(kind, name);
      }
      last = present ?? last;
      if (present !== undefined && isReached(present, goal)) return present;
      try {
        for await (const { type, resource } of events) {
          if (keyOf(resource.metadata) !== keyOf(name)) continue;
          last = resource;
          if (type === "DELETED") {
            if ("deleted" in goal) return resource;
            continue;
          }
          if (isReached(resource, goal)) return resource;
        }
      } catch (error) {
        if (!isPolyvisorError(error, "POLYVISOR_EXPIRED")) throw error;
        continue;
      }
      if (!signal.aborted)
        throw new PolyvisorError("POLYVISOR_CLOSED", "the platform was closed while waiting");
    }
    outer?.throwIfAborted();
    throw new PolyvisorError(
      "POLYVISOR_TIMEOUT",
      `${kind} "${keyOf(name)}" did not reach ${describeGoal(goal)} within ${timeout} ms. ${describeState(last)}`,
    );
  } finally {
    timer?.cancel();
    ending.abort();
  }
}

function isReached<R extends Resource>(resource: R, goal: WaitGoal<R>): boolean {
  if ("deleted" in goal) return false;
  if ("until" in goal) return goal.until(resource);
  const { phase, conditions, observedGeneration } = (resource.status ?? {}) as Observed;
  // What was written last has not been looked at yet: the status is about something else.
  if (observedGeneration !== undefined && observedGeneration < resource.metadata.generation) {
    return false;
  }
  if ("condition" in goal) return findCondition(conditions, goal.condition)?.status === "True";
  const lost = phase === "Failed" || phase === "Superseded";
  if (lost && goal.phase !== phase) {
    const verb = phase === "Failed" ? "has failed" : "was superseded";
    throw new PolyvisorError(
      "POLYVISOR_FAILED",
      `${resource.kind} "${keyOf(resource.metadata)}" ${verb}. ${describeState(resource)}`,
    );
  }
  return phase === goal.phase;
}

function notFound(kind: Kind, name: ResourceName): PolyvisorError {
  return new PolyvisorError("POLYVISOR_NOT_FOUND", `${kind} "${keyOf(name)}" does not exist`);
}

function describeGoal(goal: WaitGoal<never>): string {
  if ("phase" in goal) return `phase ${goal.phase}`;
  if ("condition" in goal) return `condition ${goal.condition}`;
  return "deleted" in goal ? "its deletion" : "what was waited for";
}

function describeState(resource: Resource | undefined): string {
  if (resource === undefined) return "It does not exist.";
  const { phase, conditions = [] } = (resource.status ?? {}) as Observed;
  const reasons = conditions.filter(({ message }) => message !== "");
  const lines = reasons.map(({ type, message }) => `${type}: ${message}`);
  return [`Its phase is ${phase ?? "not known yet"}.`, ...lines].join(" ");
}
