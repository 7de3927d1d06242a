/** One observation about a resource. Source: Kubernetes `metav1.Condition`. */
export interface Condition {
  readonly type: string;
  readonly status: "True" | "False" | "Unknown";
  /** One CamelCase word; stable. */
  readonly reason: string;
  /** For a person: what holds it and what to do. Empty when all is well. */
  readonly message: string;
  /** RFC 3339; when `status` last changed. */
  readonly lastTransitionTime: string;
  /** The `metadata.generation` that was looked at. */
  readonly observedGeneration?: number;
}

/** A condition that a controller has computed, before it is merged with the earlier ones. */
export type ConditionInput = Omit<Condition, "lastTransitionTime">;

/** The condition of `type`, if there is one. */
export function findCondition(
  conditions: readonly Condition[] | undefined,
  type: string,
): Condition | undefined {
  return conditions?.find((condition) => condition.type === type);
}

/**
 * The computed conditions with their transition times: kept from `previous` while the status stays, `now` when it
 * changes. Conditions that are no longer computed are dropped.
 */
export function mergeConditions(
  previous: readonly Condition[] | undefined,
  computed: readonly ConditionInput[],
  now: string,
): Condition[] {
  return computed.map((condition) => {
    const before = findCondition(previous, condition.type);
    const unchanged = before !== undefined && before.status === condition.status;
    return { ...condition, lastTransitionTime: unchanged ? before.lastTransitionTime : now };
  });
}
