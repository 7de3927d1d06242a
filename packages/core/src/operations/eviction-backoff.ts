/** An operation that was to move a guest off its node. */
export interface PastEviction {
  readonly failed: boolean;
  /** Milliseconds since 1970. */
  readonly endedAt: number;
}

/**
 * When the next attempt to move a guest may be made, in milliseconds since 1970: 2 s after the first failure in a row,
 * doubling up to 5 minutes. Source: DVP, "System operations".
 */
export function nextEvictionAt(past: readonly PastEviction[]): number {
  const newestFirst = past.toSorted((a, b) => b.endedAt - a.endedAt);
  const succeeded = newestFirst.findIndex(({ failed }) => !failed);
  const failures = succeeded < 0 ? newestFirst.length : succeeded;
  const [last] = newestFirst;
  if (last === undefined || failures === 0) return 0;
  return last.endedAt + Math.min(2_000 * 2 ** Math.min(failures - 1, 20), 300_000);
}
