/** An operation that may have ended. */
export interface RetainedOperation {
  readonly name: string;
  readonly namespace: string;
  readonly virtualMachineName: string;
  /** Milliseconds since 1970; absent while it has not ended. */
  readonly endedAt?: number;
}

/** For how long ended operations are kept, in milliseconds, and how many for each VM. */
const KEPT_FOR = 24 * 3_600_000;
const KEPT_PER_MACHINE = 10;

/** The operations to be removed: those that have ended over a day ago, and of the others all but the last ten of a VM. */
export function operationsToRemove<O extends RetainedOperation>(
  operations: Iterable<O>,
  now: number,
): O[] {
  const expired: O[] = [];
  const byMachine = new Map<string, { readonly operation: O; readonly endedAt: number }[]>();
  for (const operation of operations) {
    const { endedAt, namespace, virtualMachineName } = operation;
    if (endedAt === undefined) continue;
    if (now - endedAt >= KEPT_FOR) {
      expired.push(operation);
      continue;
    }
    const key = `${namespace}/${virtualMachineName}`;
    const kept = byMachine.get(key) ?? [];
    byMachine.set(key, [...kept, { operation, endedAt }]);
  }
  const surplus = [...byMachine.values()].flatMap((kept) =>
    kept.toSorted((a, b) => b.endedAt - a.endedAt).slice(KEPT_PER_MACHINE),
  );
  return [...expired, ...surplus.map(({ operation }) => operation)];
}

/** Milliseconds until the next midnight in UTC, when ended operations are removed. */
export function untilNextCollection(now: number): number {
  const day = 24 * 3_600_000;
  return day - (now % day);
}
