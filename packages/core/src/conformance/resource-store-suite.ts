import assert from "node:assert/strict";
import type { Secret } from "../api/secret.ts";
import type { NewResource, ResourceStore, WatchEvent } from "../store/resource-store.ts";
import { isPolyvisorError, type PolyvisorErrorCode } from "../util/errors.ts";
import type { ConformanceCase, ConformanceSuite } from "./conformance-case.ts";

/** A store that is empty. */
export interface ResourceStoreFixture extends AsyncDisposable {
  readonly store: ResourceStore;
}

function secret(
  name: string,
  extra: Partial<NewResource<Secret>["metadata"]> = {},
): NewResource<Secret> {
  return {
    apiVersion: "v1",
    kind: "Secret",
    metadata: { name, namespace: "default", ...extra },
    type: "Opaque",
    data: { key: "dmFsdWU=" },
  };
}

const at = (name: string): { name: string; namespace: string } => ({ name, namespace: "default" });

function failsWith(code: PolyvisorErrorCode): (error: unknown) => boolean {
  return (error) => isPolyvisorError(error, code);
}

async function take<R>(
  events: AsyncIterable<WatchEvent<R>>,
  count: number,
): Promise<WatchEvent<R>[]> {
  const taken: WatchEvent<R>[] = [];
  for await (const event of events) {
    taken.push(event);
    if (taken.length === count) return taken;
  }
  return taken;
}

const cases: readonly ConformanceCase<ResourceStoreFixture>[] = [
  {
    id: "fixture/isolated",
    title: "two instances share nothing, and a fresh one is empty",
    requires: [],
    async run({ store }, openAnother) {
      await using other = await openAnother();
      await store.create("Secret", secret("a"));
      assert.deepEqual((await other.store.list("Secret")).items, []);
      await other.store.create("Secret", secret("a"));
      await other.store.delete("Secret", at("a"));
      assert.ok(await store.get("Secret", at("a")));
    },
  },
  {
    id: "create/metadata",
    title: "create() fills in the metadata, and the resource can be read",
    requires: [],
    async run({ store }) {
      const made = await store.create("Secret", secret("a"));
      assert.match(made.metadata.uid, /^[0-9a-f-]{36}$/);
      assert.equal(made.metadata.generation, 1);
      assert.match(made.metadata.creationTimestamp, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
      assert.deepEqual(await store.get("Secret", at("a")), made);
      assert.equal(await store.get("Secret", { name: "a", namespace: "other" }), undefined);
    },
  },
  {
    id: "create/taken",
    title: "a name can be taken once in a namespace",
    requires: [],
    async run({ store }) {
      await store.create("Secret", secret("a"));
      await assert.rejects(
        store.create("Secret", secret("a")),
        failsWith("POLYVISOR_ALREADY_EXISTS"),
      );
      await store.create("Secret", secret("a", { namespace: "other" }));
    },
  },
  {
    id: "update/compare-and-swap",
    title: "of two writers who read the same revision, one is told of the conflict",
    requires: [],
    async run({ store }) {
      const made = await store.create("Secret", secret("a"));
      const next = await store.update("Secret", { ...made, data: { key: "Mg==" } });
      assert.ok(Number(next.metadata.resourceVersion) > Number(made.metadata.resourceVersion));
      const late = store.update("Secret", { ...made, data: { key: "Mw==" } });
      await assert.rejects(late, failsWith("POLYVISOR_CONFLICT"));
      assert.deepEqual((await store.get("Secret", at("a")))?.data, { key: "Mg==" });
    },
  },
  {
    id: "update/generation",
    title:
      "a change of content raises the generation, a change of metadata does not, no change makes no revision",
    requires: [],
    async run({ store }) {
      const made = await store.create("Secret", secret("a"));
      const labelled = await store.update("Secret", {
        ...made,
        metadata: { ...made.metadata, labels: { a: "b" } },
      });
      assert.equal(labelled.metadata.generation, 1);
      const changed = await store.update("Secret", { ...labelled, type: "other" });
      assert.equal(changed.metadata.generation, 2);
      const same = await store.update("Secret", changed);
      assert.equal(same.metadata.resourceVersion, changed.metadata.resourceVersion);
    },
  },
  {
    id: "update/missing",
    title: "what does not exist cannot be updated or deleted",
    requires: [],
    async run({ store }) {
      const made = await store.create("Secret", secret("a"));
      await store.delete("Secret", at("a"));
      await assert.rejects(store.update("Secret", made), failsWith("POLYVISOR_NOT_FOUND"));
      await assert.rejects(store.delete("Secret", at("a")), failsWith("POLYVISOR_NOT_FOUND"));
    },
  },
  {
    id: "status/separate",
    title: "a write of the status leaves the rest alone, and the other way round",
    requires: [],
    async run({ store }) {
      const node = { apiVersion: "v1", kind: "Node", metadata: { name: "n" }, spec: {} } as const;
      const made = await store.create("Node", node);
      const status = { unknownGuests: ["x"], conditions: [] } as never;
      const metadata = { ...made.metadata, labels: { lost: "yes" } };
      const written = await store.updateStatus("Node", { ...made, metadata, status });
      assert.equal(written.metadata.labels, undefined);
      assert.equal(written.metadata.generation, 1);
      const { status: _, ...withoutStatus } = written;
      const labelled = {
        ...withoutStatus,
        metadata: { ...written.metadata, labels: { kept: "yes" } },
      };
      const updated = await store.update("Node", labelled);
      assert.deepEqual(updated.status, status);
      assert.deepEqual(updated.metadata.labels, { kept: "yes" });
    },
  },
  {
    id: "delete/finalizers",
    title: "a resource with finalizers goes when the last one is given up",
    requires: [],
    async run({ store }) {
      await store.create("Secret", secret("a", { finalizers: ["x", "y"] }));
      await store.delete("Secret", at("a"));
      const marked = await store.get("Secret", at("a"));
      assert.ok(marked?.metadata.deletionTimestamp);
      await store.delete("Secret", at("a"));
      const without = (finalizers: string[], from: Secret): Secret => ({
        ...from,
        metadata: { ...from.metadata, finalizers },
      });
      const one = await store.update("Secret", without(["y"], marked));
      assert.ok(await store.get("Secret", at("a")));
      await store.update("Secret", without([], one));
      assert.equal(await store.get("Secret", at("a")), undefined);
    },
  },
  {
    id: "delete/preconditions",
    title: "a deletion with a precondition that does not hold is a conflict",
    requires: [],
    async run({ store }) {
      const { metadata } = await store.create("Secret", secret("a"));
      const wrong = store.delete("Secret", at("a"), { uid: "another" });
      await assert.rejects(wrong, failsWith("POLYVISOR_CONFLICT"));
      await store.delete("Secret", at("a"), {
        uid: metadata.uid,
        resourceVersion: metadata.resourceVersion,
      });
    },
  },
  {
    id: "owners/collected",
    title: "what a resource owns goes with it, unless it has another owner",
    requires: [],
    async run({ store }) {
      const owner = await store.create("Secret", secret("owner"));
      const other = await store.create("Secret", secret("other"));
      const reference = ({ apiVersion, kind, metadata: { name, uid } }: Secret) => ({
        apiVersion,
        kind,
        name,
        uid,
      });
      await store.create("Secret", secret("one", { ownerReferences: [reference(owner)] }));
      const both = [reference(owner), reference(other)];
      await store.create("Secret", secret("two", { ownerReferences: both }));
      await store.delete("Secret", at("owner"));
      assert.equal(await store.get("Secret", at("one")), undefined);
      assert.ok(await store.get("Secret", at("two")));
      await store.delete("Secret", at("other"));
      assert.equal(await store.get("Secret", at("two")), undefined);
    },
  },
  {
    id: "list/selected",
    title: "lists are sorted and can be narrowed by namespace, labels and fields",
    requires: [],
    async run({ store }) {
      await store.create("Secret", secret("b", { labels: { tier: "web" } }));
      await store.create("Secret", secret("a", { labels: { tier: "db" } }));
      await store.create("Secret", secret("c", { namespace: "other", labels: { tier: "web" } }));
      const names = async (options: Parameters<ResourceStore["list"]>[1]): Promise<string[]> =>
        (await store.list("Secret", options)).items.map(({ metadata }) => metadata.name);
      assert.deepEqual(await names({}), ["a", "b", "c"]);
      assert.deepEqual(await names({ namespace: "default" }), ["a", "b"]);
      assert.deepEqual(await names({ labelSelector: { matchLabels: { tier: "web" } } }), [
        "b",
        "c",
      ]);
      assert.deepEqual(await names({ fieldSelector: { "metadata.name": "b" } }), ["b"]);
    },
  },
  {
    id: "list/pages",
    title: "a list can be had in pages, each resource once",
    requires: [],
    async run({ store }) {
      for (const name of ["a", "b", "c", "d", "e"]) await store.create("Secret", secret(name));
      const seen: string[] = [];
      let token: string | undefined;
      do {
        const page = await store.list("Secret", {
          limit: 2,
          ...(token !== undefined && { continue: token }),
        });
        assert.ok(page.items.length <= 2);
        seen.push(...page.items.map(({ metadata }) => metadata.name));
        token = page.continue;
      } while (token !== undefined);
      assert.deepEqual(seen, ["a", "b", "c", "d", "e"]);
      const broken = store.list("Secret", { continue: "nonsense" });
      await assert.rejects(broken, failsWith("POLYVISOR_INVALID"));
    },
  },
  {
    id: "watch/resumed",
    title: "a watch from the revision of a list gives every later change once and in order",
    requires: [],
    async run({ store }) {
      await store.create("Secret", secret("before"));
      const { resourceVersion } = await store.list("Secret");
      const made = await store.create("Secret", secret("a"));
      await store.update("Secret", { ...made, type: "other" });
      const events = take(store.watch("Secret", { resourceVersion }), 3);
      await store.delete("Secret", at("a"));
      assert.deepEqual(
        (await events).map(({ type, resource }) => [type, resource.metadata.name, resource.type]),
        [
          ["ADDED", "a", "Opaque"],
          ["MODIFIED", "a", "other"],
          ["DELETED", "a", "other"],
        ],
      );
    },
  },
  {
    id: "watch/selected",
    title: "a resource that enters or leaves a watch's selection is added to it or deleted from it",
    requires: [],
    async run({ store }) {
      const labelSelector = { matchLabels: { tier: "web" } };
      const events = take(store.watch("Secret", { labelSelector }), 2);
      const made = await store.create("Secret", secret("a"));
      const label = (from: Secret, tier: string): Secret => ({
        ...from,
        metadata: { ...from.metadata, labels: { tier } },
      });
      const web = await store.update("Secret", label(made, "web"));
      await store.update("Secret", label(web, "db"));
      assert.deepEqual(
        (await events).map(({ type }) => type),
        ["ADDED", "DELETED"],
      );
    },
  },
  {
    id: "watch/ends",
    title: "a watch ends when its signal is aborted",
    requires: [],
    async run({ store }) {
      const ending = new AbortController();
      const events = take(store.watch("Secret", { signal: ending.signal }), 1);
      ending.abort();
      assert.deepEqual(await events, []);
    },
  },
  {
    id: "values/kept-apart",
    title: "what is stored does not change when the caller changes what it has",
    requires: [],
    async run({ store }) {
      const data: Record<string, string> = { key: "MQ==" };
      await store.create("Secret", { ...secret("a"), data });
      data["key"] = "Mg==";
      const stored = await store.get("Secret", at("a"));
      assert.deepEqual(stored?.data, { key: "MQ==" });
      assert.throws(() => {
        (stored.data as Record<string, string>)["key"] = "Mw==";
      }, TypeError);
    },
  },
];

/** What every resource store must do. */
export const resourceStoreSuite: ConformanceSuite<ResourceStoreFixture> = {
  port: "ResourceStore",
  cases,
  capabilities: () => ({}),
};
