import { FakeClock } from "@polyvisor/core/testing";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { backoffDelay, WorkQueue } from "../../src/controllers/runtime/work-queue.ts";

function open(): { clock: FakeClock; queue: WorkQueue<string> } {
  const clock = new FakeClock();
  return { clock, queue: new WorkQueue(clock) };
}

describe("WorkQueue", () => {
  it("hands a key out once, however often it was added, in the order of the first time", async () => {
    const { queue } = open();
    for (const key of ["a", "b", "a", "c", "b"]) queue.add(key);
    expect(queue.size).toBe(3);
    expect([await queue.take(), await queue.take(), await queue.take()]).toEqual(["a", "b", "c"]);
  });

  it("hands a key to whoever waits", async () => {
    const { queue } = open();
    const waiting = [queue.take(), queue.take()];
    queue.add("a");
    queue.add("a");
    queue.add("b");
    expect(await Promise.all(waiting)).toEqual(["a", "b"]);
    expect(queue.size).toBe(0);
  });

  it("gives a key again that was added while it was looked at, once", async () => {
    const { queue } = open();
    queue.add("a");
    expect(await queue.take()).toBe("a");
    queue.add("a");
    queue.add("a");
    expect(queue.size).toBe(0);
    queue.done("a");
    expect(await queue.take()).toBe("a");
    queue.done("a");
    expect(queue.size).toBe(0);
  });

  it("never hands out a key twice at a time, and forgets none", async () => {
    const step = fc.oneof(
      fc.constantFrom("a", "b", "c").map((key) => ({ type: "add" as const, key })),
      fc.constant({ type: "take" as const, key: "" }),
      fc.constantFrom("a", "b", "c").map((key) => ({ type: "done" as const, key })),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
        const { queue } = open();
        const active = new Set<string>();
        const owed = new Set<string>();
        const take = async (): Promise<void> => {
          const key = await queue.take();
          if (key === undefined) return;
          expect(active.has(key)).toBe(false);
          active.add(key);
          owed.delete(key);
        };
        for (const { type, key } of steps) {
          if (type === "take" && queue.size > 0) await take();
          if (type === "done" && active.delete(key)) queue.done(key);
          if (type === "add") {
            queue.add(key);
            owed.add(key);
          }
        }
        for (const key of active) queue.done(key);
        active.clear();
        while (queue.size > 0) await take();
        expect([...owed]).toEqual([]);
      }),
    );
  });

  it("keeps the earlier of two appointments, and the queue's own way for a key that is due", async () => {
    const { queue, clock } = open();
    queue.addAfter("a", 1000);
    queue.addAfter("a", 5000);
    queue.addAfter("b", 5000);
    queue.addAfter("b", 500);
    await clock.advance(499);
    expect(queue.size).toBe(0);
    await clock.advance(1);
    expect(await queue.take()).toBe("b");
    await clock.advance(500);
    expect(await queue.take()).toBe("a");
    queue.done("a");
    queue.done("b");
    await clock.advance(10_000);
    expect(queue.size).toBe(0);
  });

  it("waits longer after every failure in a row: 50 ms doubling up to 30 s", async () => {
    expect([1, 2, 3, 10, 11, 1000].map(backoffDelay)).toEqual([
      50, 100, 200, 25_600, 30_000, 30_000,
    ]);
    const { queue, clock } = open();
    const waits: number[] = [];
    for (let failure = 0; failure < 4; failure += 1) {
      if (failure === 3) queue.forgetFailures("a");
      queue.addAfterFailure("a");
      const began = clock.now();
      const taken = queue.take();
      while (queue.size === 0 && clock.now() - began < 500) {
        await clock.advance(50);
        if ((await Promise.race([taken, Promise.resolve("none")])) === "a") break;
      }
      waits.push(clock.now() - began);
      queue.done("a");
    }
    expect(waits).toEqual([50, 100, 200, 50]);
  });

  it("gives nothing more once it is closed", async () => {
    const { queue, clock } = open();
    queue.add("a");
    queue.addAfter("b", 10);
    const held = open().queue;
    const waiting = held.take();
    queue.close();
    held.close();
    queue.add("c");
    queue.addAfter("d", 1);
    await clock.advance(100);
    expect(await Promise.all([queue.take(), waiting])).toEqual([undefined, undefined]);
    expect(queue.size).toBe(0);
  });
});
