import { type Kinds, PolyvisorError, type ResourceClient } from "@polyvisor/core";
import { describe, expect, it } from "vitest";
import { blankDisk } from "../support/manifests.ts";
import { World } from "../support/world.ts";

type Secrets = ResourceClient<"Secret">;

function secret(
  name: string,
  namespace = "default",
  more: object = {},
): Parameters<Secrets["create"]>[0] {
  return { metadata: { name, namespace, ...more }, stringData: { key: "value" } };
}

function names(resources: readonly Kinds["Secret"][]): string[] {
  return resources.map(({ metadata }) => `${metadata.namespace}/${metadata.name}`);
}

describe("a client", () => {
  it("creates, gets and deletes in a namespace", async () => {
    await using world = await World.open();
    const { secrets } = world.platform;
    const created = await secrets.create(secret("a", "team"));
    expect(created).toMatchObject({
      apiVersion: "v1",
      kind: "Secret",
      metadata: { name: "a", namespace: "team", generation: 1 },
      type: "Opaque",
    });
    expect(await secrets.get("a", { namespace: "team" })).toBe(created);
    await expect(secrets.get("a")).rejects.toMatchObject({
      code: "POLYVISOR_NOT_FOUND",
      message: 'Secret "default/a" does not exist',
    });
    await expect(secrets.create(secret("a", "team"))).rejects.toMatchObject({
      code: "POLYVISOR_ALREADY_EXISTS",
      message: 'Secret "team/a" already exists',
    });
    await secrets.delete("a", { namespace: "team" });
    await expect(secrets.delete("a", { namespace: "team" })).rejects.toMatchObject({
      code: "POLYVISOR_NOT_FOUND",
    });
  });

  it("lists by namespace and labels, page by page", async () => {
    await using world = await World.open();
    const { secrets } = world.platform;
    for (const name of ["c", "a", "b"])
      await secrets.create(secret(name, "x", { labels: { name } }));
    await secrets.create(secret("a", "y"));
    expect(names((await secrets.list()).items)).toEqual(["x/a", "x/b", "x/c", "y/a"]);
    expect(names((await secrets.list({ namespace: "y" })).items)).toEqual(["y/a"]);
    const key = "name";
    const labelSelector = {
      matchExpressions: [{ key, operator: "In" as const, values: ["b", "c"] }],
    };
    expect(names((await secrets.list({ labelSelector })).items)).toEqual(["x/b", "x/c"]);
    const fieldSelector = { "metadata.name": "a" };
    expect(names((await secrets.list({ fieldSelector })).items)).toEqual(["x/a", "y/a"]);
    const first = await secrets.list({ limit: 3 });
    const rest = await secrets.list({ limit: 3, continue: first.continue ?? "" });
    expect(names([...first.items, ...rest.items])).toEqual(["x/a", "x/b", "x/c", "y/a"]);
  });

  it("updates what was read, unless it has changed since", async () => {
    await using world = await World.open();
    const { secrets } = world.platform;
    const read = await secrets.create(secret("a"));
    const updated = await secrets.update({ ...read, type: "other" });
    expect(updated).toMatchObject({ type: "other", metadata: { generation: 2 } });
    await expect(secrets.update({ ...read, type: "third" })).rejects.toMatchObject({
      code: "POLYVISOR_CONFLICT",
      message: 'Secret "default/a" has changed since it was read: read it again and repeat',
    });
    await expect(secrets.update({ ...updated, data: { "a b": "" } })).rejects.toMatchObject({
      code: "POLYVISOR_INVALID",
    });
    const gone = { ...updated, metadata: { ...updated.metadata, name: "gone" } };
    await expect(secrets.update(gone)).rejects.toMatchObject({ code: "POLYVISOR_NOT_FOUND" });
  });

  it("does not let an update delete or change a status", async () => {
    await using world = await World.open();
    const { virtualDisks } = world.platform;
    await world.apply(blankDisk("d"));
    const disk = await world.untilPhase("VirtualDisk", "d", "Ready");
    const deletionTimestamp = "2026-01-01T00:00:00Z";
    const metadata = { ...disk.metadata, labels: { a: "b" }, deletionTimestamp };
    const status = { ...disk.status, phase: "Failed" } as NonNullable<typeof disk.status>;
    const updated = await virtualDisks.update({ ...disk, metadata, status });
    expect(updated.status?.phase).toBe("Ready");
    expect(updated.metadata.labels).toEqual({ a: "b" });
    expect(updated.metadata.deletionTimestamp).toBeUndefined();
  });

  it("patches contents and metadata, and removes with null", async () => {
    await using world = await World.open();
    const { secrets } = world.platform;
    await secrets.create(secret("a", "default", { labels: { keep: "1", drop: "2" } }));
    const patched = await secrets.patch("a", {
      type: "other",
      data: { more: "YQ==" },
      metadata: { labels: { drop: null, added: "3" }, annotations: { note: "x" } },
    });
    expect(patched).toMatchObject({ type: "other", data: { key: "dmFsdWU=", more: "YQ==" } });
    expect(patched.metadata.labels).toEqual({ keep: "1", added: "3" });
    expect(patched.metadata.annotations).toEqual({ note: "x" });
    const emptied = await secrets.patch("a", { metadata: { labels: null } });
    expect(emptied.metadata.labels).toBeUndefined();
    expect(emptied.metadata.annotations).toEqual({ note: "x" });
    await expect(secrets.patch("a", { typo: 1 })).rejects.toMatchObject({
      code: "POLYVISOR_INVALID",
      message: 'Secret "default/a" is invalid: typo: unknown field',
    });
    await expect(secrets.patch("b", {})).rejects.toMatchObject({ code: "POLYVISOR_NOT_FOUND" });
  });

  it("does not let a patch change what identifies a resource", async () => {
    await using world = await World.open();
    const { secrets } = world.platform;
    const created = await secrets.create(secret("a"));
    const patch = { type: "other", metadata: { uid: "mine", resourceVersion: "7", name: "b" } };
    const patched = await secrets.patch("a", patch);
    expect(patched.type).toBe("other");
    expect(patched.metadata).toMatchObject({ name: "a", uid: created.metadata.uid, generation: 2 });
  });

  it("loses no patch when many are made at the same time", async () => {
    await using world = await World.open();
    const { secrets } = world.platform;
    await secrets.create(secret("a"));
    const keys = Array.from({ length: 20 }, (_, index) => `key-${index}`);
    await Promise.all(keys.map((key) => secrets.patch("a", { data: { [key]: "YQ==" } })));
    expect(Object.keys((await secrets.get("a")).data).sort()).toEqual(["key", ...keys].sort());
    const manifest = { ...secret("b"), apiVersion: "v1", kind: "Secret" };
    const applied = await Promise.all(keys.map(() => world.platform.apply([manifest])));
    const operations = applied.map(([result]) => String(result?.operation)).sort();
    expect(operations).toEqual(["created", ...keys.slice(1).map(() => "unchanged")]);
  });

  it("watches from the call on", async () => {
    await using world = await World.open();
    const { secrets } = world.platform;
    await secrets.create(secret("before"));
    const ending = new AbortController();
    const events = secrets.watch({ namespace: "default", signal: ending.signal });
    const a = await secrets.create(secret("a"));
    await secrets.create(secret("b", "elsewhere"));
    await secrets.update({ ...a, type: "other" });
    await secrets.delete("a");
    ending.abort();
    const seen: string[] = [];
    for await (const { type, resource } of events) seen.push(`${type} ${resource.metadata.name}`);
    expect(seen).toEqual(["ADDED a", "MODIFIED a", "DELETED a"]);
  });

  it("exists for every kind, and for no other", async () => {
    await using world = await World.open();
    expect(world.platform.client("VirtualMachine")).toBe(world.platform.virtualMachines);
    expect(() => world.platform.client("Pod" as "Node")).toThrow(PolyvisorError);
  });
});
