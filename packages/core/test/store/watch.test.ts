import { type Kinds, memoryStore, type ResourceStore, type WatchEvent } from "@polyvisor/core";
import { FakeClock } from "@polyvisor/core/testing";
import { describe, expect, it } from "vitest";

type Secret = Kinds["Secret"];

function open(options: { historySize?: number; queueSize?: number } = {}): ResourceStore {
  return memoryStore({ clock: new FakeClock(), ...options });
}

function create(store: ResourceStore, name: string, labels = {}): Promise<Secret> {
  return store.create("Secret", {
    apiVersion: "v1",
    kind: "Secret",
    metadata: { name, namespace: "default", labels },
    type: "Opaque",
    data: {},
  });
}

async function touch(store: ResourceStore, name: string, times: number): Promise<Secret> {
  let secret = await store.get("Secret", { name, namespace: "default" });
  for (let count = 0; count < times && secret; count += 1) {
    secret = await store.update("Secret", { ...secret, type: `${secret.type}'` });
  }
  if (!secret) throw new Error(`${name} is not there`);
  return secret;
}

/** Reads until `count` events have come or the watch ends. */
async function read<T>(events: AsyncIterable<T>, count: number): Promise<T[]> {
  const got: T[] = [];
  for await (const event of events) if (got.push(event) === count) break;
  return got;
}

function summary({ type, resource }: WatchEvent<Secret>): string {
  return `${type} ${resource.metadata.name}`;
}

describe("a watch", () => {
  it("goes back through the history and then follows, each change once", async () => {
    const store = open();
    const first = await create(store, "a");
    await create(store, "b");
    const { resourceVersion } = first.metadata;
    const events = store.watch("Secret", { resourceVersion });
    await store.delete("Secret", { name: "a", namespace: "default" });
    await create(store, "a");
    const got = await read(events, 3);
    expect(got.map(summary)).toEqual(["ADDED b", "DELETED a", "ADDED a"]);
    const versions = got.map(({ resource }) => Number(resource.metadata.resourceVersion));
    expect(versions).toEqual(versions.toSorted((one, other) => one - other));
  });

  it("is told that a revision is no longer kept", async () => {
    const store = open({ historySize: 10 });
    const { metadata } = await create(store, "a");
    await touch(store, "a", 18);
    const { resourceVersion } = metadata;
    expect(await read(store.watch("Secret", { resourceVersion }), 18)).toHaveLength(18);
    const { metadata: latest } = await touch(store, "a", 10);
    expect(() => store.watch("Secret", { resourceVersion })).toThrow(
      expect.objectContaining({
        code: "POLYVISOR_EXPIRED",
        message: "revision 1 is no longer kept: list again and watch from there",
      }),
    );
    const tenBack = String(Number(latest.resourceVersion) - 9);
    expect(await read(store.watch("Secret", { resourceVersion: tenBack }), 9)).toHaveLength(9);
  });

  it.each(["1000", "-", "1.5", ""])("refuses the revision %j that is none", async (revision) => {
    const store = open();
    await create(store, "a");
    const resourceVersion = revision === "" ? "NaN" : revision;
    expect(() => store.watch("Secret", { resourceVersion })).toThrow(
      expect.objectContaining({ code: "POLYVISOR_INVALID" }),
    );
  });

  it("whose reader is too slow ends with an error, and others go on", async () => {
    const store = open({ queueSize: 5 });
    const slow = store.watch("Secret");
    const quick = read(store.watch("Secret"), 9);
    await create(store, "a");
    for (let count = 0; count < 8; count += 1) {
      await touch(store, "a", 1);
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(await quick).toHaveLength(9);
    await expect(read(slow, 100)).rejects.toMatchObject({
      code: "POLYVISOR_EXPIRED",
      message: "the reader of this watch fell too far behind: list again and watch from there",
    });
  });

  it("shows a resource that enters or leaves a selection as added or deleted", async () => {
    const store = open();
    const selected = store.watch("Secret", { labelSelector: { matchLabels: { a: "b" } } });
    const secret = await create(store, "a");
    const labels = { a: "b" };
    const entered = await store.update("Secret", {
      ...secret,
      metadata: { ...secret.metadata, labels },
    });
    const changed = await store.update("Secret", { ...entered, type: "other" });
    await store.update("Secret", { ...changed, metadata: { ...changed.metadata, labels: {} } });
    expect((await read(selected, 3)).map(({ type }) => type)).toEqual([
      "ADDED",
      "MODIFIED",
      "DELETED",
    ]);
  });

  it("ends with its signal, at once when that is aborted already", async () => {
    const store = open();
    await create(store, "a");
    const ending = new AbortController();
    const events = read(store.watch("Secret", { signal: ending.signal }), 10);
    await create(store, "b");
    ending.abort();
    await create(store, "c");
    expect((await events).map(summary)).toEqual(["ADDED b"]);
    expect(await read(store.watch("Secret", { signal: ending.signal }), 10)).toEqual([]);
  });

  it("ends when the store is closed, and one that begins later ends at once", async () => {
    const store = open();
    const events = read(store.watch("Secret"), 10);
    await store[Symbol.asyncDispose]();
    expect(await events).toEqual([]);
    expect(await read(store.watch("Secret"), 10)).toEqual([]);
  });
});

describe("the memory store", () => {
  it("keeps deletion to delete()", async () => {
    const store = open();
    const secret = await create(store, "a");
    const deletionTimestamp = "2026-01-01T00:00:00Z";
    const metadata = { ...secret.metadata, deletionTimestamp };
    await store.update("Secret", { ...secret, type: "other", metadata });
    const stored = await store.get("Secret", { name: "a", namespace: "default" });
    expect(stored?.type).toBe("other");
    expect(stored?.metadata.deletionTimestamp).toBeUndefined();
  });

  it("lists pages from which a watch misses nothing, though the store goes on changing", async () => {
    const store = open();
    for (const name of ["a", "b", "c", "d"]) await create(store, name);
    const first = await store.list("Secret", { limit: 2 });
    await store.delete("Secret", { name: "a", namespace: "default" });
    await create(store, "e");
    const second = await store.list("Secret", {
      limit: 3,
      ...(first.continue && { continue: first.continue }),
    });
    const known = new Set([...first.items, ...second.items].map(({ metadata }) => metadata.name));
    const { resourceVersion } = second;
    for (const { type, resource } of await read(store.watch("Secret", { resourceVersion }), 2)) {
      if (type === "DELETED") known.delete(resource.metadata.name);
      else known.add(resource.metadata.name);
    }
    expect([...known].sort()).toEqual(["b", "c", "d", "e"]);
    expect(second.continue).toBeUndefined();
  });

  it("refuses a continue token that it did not make", async () => {
    await expect(open().list("Secret", { continue: "bm9uc2Vuc2U" })).rejects.toMatchObject({
      code: "POLYVISOR_INVALID",
    });
  });
});
