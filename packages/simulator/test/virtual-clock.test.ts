import { VirtualClock } from "@polyvisor/simulator";
import { describe, expect, it } from "vitest";

describe("the virtual clock", () => {
  it("stands still until it is advanced, and fires timers in order", async () => {
    const clock = new VirtualClock(0);
    const fired: string[] = [];
    clock.setTimer(20, () => fired.push(`late at ${clock.now()}`));
    clock.setTimer(10, () => fired.push(`early at ${clock.now()}`));
    clock.setTimer(10, () => fired.push("early, too")).cancel();
    await clock.advance(5);
    expect(fired).toEqual([]);
    await clock.advance(15);
    expect(fired).toEqual(["early at 10", "late at 20"]);
    expect(clock.now()).toBe(20);
  });

  it("runs what a timer sets off before the next one is due", async () => {
    const clock = new VirtualClock(0);
    const fired: string[] = [];
    clock.setTimer(10, () => {
      setImmediate(() => clock.setTimer(1, () => fired.push(`chained at ${clock.now()}`)));
    });
    clock.setTimer(12, () => fired.push(`next at ${clock.now()}`));
    await clock.advance(100);
    expect(fired).toEqual(["chained at 11", "next at 12"]);
  });

  it("keeps its order with many timers, of which many are cancelled", async () => {
    const clock = new VirtualClock(0);
    const fired: number[] = [];
    const timers = Array.from({ length: 5_000 }, (_, index) =>
      clock.setTimer((index * 7_919) % 5_000, () => fired.push(clock.now())),
    );
    timers.filter((_, index) => index % 3 !== 0).forEach((timer) => timer.cancel());
    await clock.advance(5_000);
    expect(fired).toHaveLength(1_667);
    expect(fired).toEqual(fired.toSorted((a, b) => a - b));
  });

  it("lets time pass until a promise is settled", async () => {
    const clock = new VirtualClock(0);
    const { promise, resolve } = Promise.withResolvers<string>();
    clock.setTimer(3_600_000, () => resolve("done"));
    expect(await clock.until(promise)).toBe("done");
    expect(clock.now()).toBe(3_600_000);
    await expect(clock.until(Promise.reject(new Error("broken")))).rejects.toThrow("broken");
  });

  it("says so when what is waited for never happens", async () => {
    const clock = new VirtualClock(0);
    const never = new Promise<void>(() => {});
    await expect(clock.until(never)).rejects.toThrow(/nothing is left that could happen/);
    clock.setTimer(10_000, () => {});
    await expect(clock.until(never, { limit: 5_000 })).rejects.toThrow(/not done within 5 s/);
  });

  it("has one driver at a time", async () => {
    const clock = new VirtualClock(0);
    const playing = clock.play({ speed: Number.POSITIVE_INFINITY });
    await expect(clock.advance(1)).rejects.toThrow(/driven already/);
    const fired = new Promise<number>((resolve) => {
      clock.setTimer(3_600_000, () => resolve(clock.now()));
    });
    expect(await fired).toBe(3_600_000);
    await playing[Symbol.asyncDispose]();
    await clock.advance(1);
    expect(clock.now()).toBe(3_600_001);
  });

  it("plays faster than real time", async () => {
    const clock = new VirtualClock(0);
    await using _ = clock.play({ speed: 100_000 });
    const fired = new Promise<number>((resolve) => {
      clock.setTimer(10_000, () => resolve(clock.now()));
    });
    expect(await fired).toBe(10_000);
  });
});
