import { type Kinds, memoryStore, type ResourceStore } from "@polyvisor/core";
import { FakeClock, withFaults } from "@polyvisor/core/testing";
import { describe, expect, it } from "vitest";
import { ResourceCache } from "../../src/controllers/runtime/resource-cache.ts";
import { recordingLogger } from "../support/logger.ts";

type Secret = Kinds["Secret"];

interface Followed {
  readonly cache: ResourceCache<"Secret">;
  readonly changes: string[];
  readonly clock: FakeClock;
  readonly lines: string[];
  readonly stop: () => Promise<void>;
}

function follow(store: ResourceStore): Followed {
  const cache = new ResourceCache("Secret");
  const clock = new FakeClock();
  const logger = recordingLogger();
  const changes: string[] = [];
  cache.addIndex("type", ({ type }) => type.split(","));
  cache.onChange((previous, next) => {
    const name = (next ?? previous)?.metadata.name;
    changes.push(`${name}: ${previous?.type ?? "-"} to ${next?.type ?? "-"}`);
  });
  const ending = new AbortController();
  const { signal } = ending;
  const ended = cache.follow(store, {
    signal,
    clock,
    logger,
    onSynced: () => changes.push("synced"),
  });
  const stop = (): Promise<void> => {
    ending.abort();
    return ended;
  };
  return { cache, changes, clock, lines: logger.lines, stop };
}

function create(store: ResourceStore, name: string, type: string): Promise<Secret> {
  const metadata = { name, namespace: "default" };
  return store.create("Secret", { apiVersion: "v1", kind: "Secret", metadata, type, data: {} });
}

function names(secrets: Iterable<Secret>): string[] {
  return [...secrets].map(({ metadata }) => metadata.name).sort();
}

describe("ResourceCache", () => {
  it("holds what is there, then follows", async () => {
    const store = memoryStore();
    const first = await create(store, "a", "x");
    const { cache, changes, clock, stop } = follow(store);
    await clock.advance(0);
    await store.update("Secret", { ...first, type: "y" });
    await create(store, "b", "x");
    await store.delete("Secret", first.metadata);
    await clock.advance(0);
    expect(changes).toEqual(["a: - to x", "synced", "a: x to y", "b: - to x", "a: y to -"]);
    expect(names(cache.values())).toEqual(["b"]);
    expect(cache.get("default/b")?.type).toBe("x");
    await stop();
  });

  it("finds by every value of an index, and nothing that is no longer so", async () => {
    const store = memoryStore();
    const { cache, clock, stop } = follow(store);
    const both = await create(store, "both", "x,y");
    await create(store, "one", "x");
    await clock.advance(0);
    expect(names(cache.findBy("type", "x"))).toEqual(["both", "one"]);
    expect(names(cache.findBy("type", "y"))).toEqual(["both"]);
    await store.update("Secret", { ...both, type: "z" });
    await clock.advance(0);
    expect(names(cache.findBy("type", "x"))).toEqual(["one"]);
    expect(names(cache.findBy("type", "y"))).toEqual([]);
    expect(names(cache.findBy("type", "z"))).toEqual(["both"]);
    expect(names(cache.findBy("no such index", "z"))).toEqual([]);
    await stop();
  });

  it("lists anew when the store has forgotten its place, and reports the differences only", async () => {
    const store = memoryStore({ queueSize: 3 });
    await create(store, "same", "s");
    const changing = await create(store, "changing", "x");
    const leaving = await create(store, "leaving", "x");
    const { cache, changes, clock, stop } = follow(store);
    await clock.advance(0);
    changes.length = 0;
    // All in one go, so that the cache does not get to read in between.
    await Promise.all([
      store.update("Secret", { ...changing, type: "y" }),
      store.delete("Secret", leaving.metadata),
      ...["n1", "n2", "n3", "n4", "n5"].map((name) => create(store, name, "new")),
    ]);
    await clock.advance(0);
    expect(changes).toContain("synced");
    expect(changes.filter((line) => line.startsWith("same"))).toEqual([]);
    expect(changes.filter((line) => line.startsWith("changing"))).toEqual(["changing: x to y"]);
    expect(changes.filter((line) => line.startsWith("leaving"))).toEqual(["leaving: x to -"]);
    expect(names(cache.findBy("type", "new"))).toEqual(["n1", "n2", "n3", "n4", "n5"]);
    await stop();
  });

  it("tries again with growing pauses when the store fails", async () => {
    const inner = memoryStore();
    const { port: store, rules } = withFaults(inner);
    rules.push({ verb: "list", error: new Error("disk full"), times: 3 });
    await create(store, "a", "x");
    const { cache, clock, lines, stop } = follow(store);
    await clock.advance(50 + 100 + 199);
    expect(names(cache.values())).toEqual([]);
    await clock.advance(1);
    expect(names(cache.values())).toEqual(["a"]);
    expect(lines).toEqual(
      Array(3).fill('error: cannot read from the store {"kind":"Secret","error":"disk full"}'),
    );
    await stop();
  });
});
