import { PolyvisorError } from "@polyvisor/core";
import { FakeClock } from "@polyvisor/core/testing";
import { describe, expect, it } from "vitest";
import { Controller, type Reconcile } from "../../src/controllers/runtime/controller.ts";
import { recordingLogger } from "../support/logger.ts";

interface Started {
  readonly clock: FakeClock;
  readonly lines: string[];
  readonly controller: Controller;
  readonly stop: () => Promise<void>;
}

function start(reconcile: Reconcile, concurrency = 2): Started {
  const clock = new FakeClock();
  const logger = recordingLogger();
  const controller = new Controller({ name: "test", clock, logger, concurrency, reconcile });
  const ending = new AbortController();
  const running = controller.run(ending.signal);
  const stop = (): Promise<void> => {
    ending.abort();
    return running;
  };
  return { clock, controller, lines: logger.lines, stop };
}

describe("Controller", () => {
  it("looks at several keys at the same time, at a key never twice", async () => {
    const active: string[] = [];
    let most = 0;
    const { controller, clock, stop } = start(async (key) => {
      expect(active).not.toContain(key);
      most = Math.max(most, active.push(key));
      await new Promise((resolve) => setImmediate(resolve));
      active.splice(active.indexOf(key), 1);
    });
    for (const key of ["a", "b", "c"]) controller.enqueue(key);
    await new Promise((resolve) => setImmediate(resolve));
    for (const key of ["a", "b", "c"]) controller.enqueue(key);
    await clock.advance(0);
    expect(most).toBe(2);
    await stop();
  });

  it("looks again after a failure, with growing pauses, until it succeeds", async () => {
    const times: number[] = [];
    const { controller, clock, lines, stop } = start(async () => {
      times.push(clock.now());
      if (times.length < 4) throw new Error("no luck");
    });
    controller.enqueue("a");
    await clock.advance(60_000);
    const pauses = times.slice(1).map((time, index) => time - (times[index] ?? 0));
    expect(pauses).toEqual([50, 100, 200]);
    expect(lines).toEqual(
      Array(3).fill(
        'warn: will look again after a pause {"controller":"test","key":"a","error":"no luck"}',
      ),
    );
    await stop();
  });

  it("takes a conflict for no failure that is worth a warning, and looks again", async () => {
    let looks = 0;
    const { controller, clock, lines, stop } = start(async () => {
      looks += 1;
      if (looks === 1) throw new PolyvisorError("POLYVISOR_CONFLICT", "has changed");
    });
    controller.enqueue("a");
    await clock.advance(50);
    expect(looks).toBe(2);
    expect(lines).toEqual([expect.stringMatching(/^debug:/)]);
    await stop();
  });

  it("looks again when it was asked to", async () => {
    const times: number[] = [];
    const { controller, clock, stop } = start(async () => {
      times.push(clock.now());
      return times.length < 3 ? { requeueAfter: 1_000 * times.length } : undefined;
    });
    const began = clock.now();
    controller.enqueue("a");
    await clock.advance(100_000);
    expect(times.map((time) => time - began)).toEqual([0, 1_000, 3_000]);
    await stop();
  });

  it("waits for the look that is under way when it is stopped, and begins no other", async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    const looked: string[] = [];
    let stopped = false;
    const { controller, clock, stop } = start(async (key, signal) => {
      looked.push(key);
      await promise;
      expect(signal.aborted).toBe(true);
    }, 1);
    controller.enqueue("a");
    controller.enqueue("b");
    await clock.advance(0);
    const stopping = stop().then(() => {
      stopped = true;
    });
    await clock.advance(1_000);
    expect(stopped).toBe(false);
    resolve();
    await stopping;
    expect(looked).toEqual(["a"]);
  });

  it("ends at once when it is aborted before it begins", async () => {
    const looked: string[] = [];
    const options = { name: "test", clock: new FakeClock(), logger: recordingLogger() };
    const controller = new Controller({
      ...options,
      concurrency: 2,
      reconcile: async (key) => void looked.push(key),
    });
    controller.enqueue("a");
    await controller.run(AbortSignal.abort());
    expect(looked).toEqual([]);
  });
});
