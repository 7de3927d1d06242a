/**
 * Runs `run` over `items` with at most `concurrency` at a time and yields the results in the
 * order of the items. Stops starting new ones at the first failure and waits for those running.
 */
export async function* mapOrdered<Item, Result>(
  items: AsyncIterable<Item>,
  concurrency: number,
  run: (item: Item) => Promise<Result>,
): AsyncGenerator<Result, void, void> {
  const running: Promise<Result>[] = [];
  try {
    for await (const item of items) {
      const result = run(item);
      // The failure is reported when its turn comes; until then it must not count as unhandled.
      result.catch(() => {});
      running.push(result);
      if (running.length >= concurrency) yield await (running.shift() as Promise<Result>);
    }
    while (running.length > 0) yield await (running.shift() as Promise<Result>);
  } finally {
    await Promise.allSettled(running);
  }
}
