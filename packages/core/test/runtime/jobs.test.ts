import { describe, expect, it } from "vitest";
import { Jobs } from "../../src/controllers/runtime/jobs.ts";

interface Opened {
  readonly jobs: Jobs<number, string>;
  readonly changes: string[];
}

function open(): Opened {
  const changes: string[] = [];
  return { changes, jobs: new Jobs((key) => void changes.push(key)) };
}

async function settle(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
}

describe("Jobs", () => {
  it("begins work once, and tells of progress and the end", async () => {
    const { jobs, changes } = open();
    const { promise, resolve } = Promise.withResolvers<string>();
    let begun = 0;
    let report: (progress: number) => void = () => {};
    const ensure = (): ReturnType<typeof jobs.ensure> =>
      jobs.ensure("a", "why", (_, onProgress) => {
        begun += 1;
        report = onProgress;
        return promise;
      });
    expect(await ensure()).toEqual({ state: "running", progress: undefined });
    report(40);
    expect(await ensure()).toEqual({ state: "running", progress: 40 });
    resolve("result");
    await settle();
    report(99);
    expect(await ensure()).toEqual({ state: "done", result: "result" });
    expect(begun).toBe(1);
    expect(changes).toEqual(["a", "a"]);
  });

  it("keeps a failure until the job is stopped", async () => {
    const { jobs } = open();
    const failure = new Error("broken");
    const fail = (): Promise<string> => Promise.reject(failure);
    await jobs.ensure("a", "why", fail);
    await settle();
    const again = async (): Promise<string> => "second";
    expect(await jobs.ensure("a", "why", again)).toEqual({ state: "failed", error: failure });
    await jobs.stop("a");
    await jobs.ensure("a", "why", again);
    await settle();
    expect(await jobs.ensure("a", "why", again)).toEqual({ state: "done", result: "second" });
  });

  it("ends the old work before it begins another for a new purpose", async () => {
    const { jobs } = open();
    const order: string[] = [];
    await jobs.ensure("a", "first", async (signal) => {
      await new Promise((resolve) => signal.addEventListener("abort", resolve));
      await settle();
      order.push("first ended");
      return "first";
    });
    const state = await jobs.ensure("a", "second", async () => {
      order.push("second began");
      return "second";
    });
    expect(state.state).toBe("running");
    await settle();
    expect(order).toEqual(["first ended", "second began"]);
    const done = await jobs.ensure("a", "second", async () => "third");
    expect(done).toEqual({ state: "done", result: "second" });
  });

  it("waits with stop until the work has really ended", async () => {
    const { jobs } = open();
    const { promise, resolve } = Promise.withResolvers<string>();
    let stopped = false;
    await jobs.ensure("a", "why", () => promise);
    const stopping = jobs.stop("a").then(() => {
      stopped = true;
    });
    await settle();
    expect(stopped).toBe(false);
    resolve("late");
    await stopping;
    expect(await jobs.ensure("a", "why", () => promise)).toMatchObject({ state: "running" });
    await settle();
  });

  it("stops all jobs, and knows nothing of keys without one", async () => {
    const { jobs } = open();
    const aborted: string[] = [];
    for (const key of ["a", "b"]) {
      await jobs.ensure(key, "why", async (signal) => {
        await new Promise((resolve) => signal.addEventListener("abort", resolve));
        aborted.push(key);
        throw signal.reason;
      });
    }
    await jobs.stop("c");
    await jobs.stopAll();
    expect(aborted).toEqual(["a", "b"]);
  });
});
