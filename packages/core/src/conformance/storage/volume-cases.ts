import assert from "node:assert/strict";
import type { SparseStream } from "../../backend/sparse-stream.ts";
import { failsWith, never } from "../expectations.ts";
import {
  assertContent,
  attach,
  detach,
  filledVolume,
  MEBIBYTE,
  pattern,
  type StorageCase,
  streamOf,
  volumeSpec,
} from "./storage-fixture.ts";

/** Volumes and what they hold. */
export const VOLUME_CASES: readonly StorageCase[] = [
  {
    id: "fixture/isolated",
    title: "two instances share nothing",
    requires: [],
    async run(fixture, openAnother) {
      await using other = await openAnother();
      const spec = await volumeSpec(fixture);
      await fixture.storage.createVolume(spec, never);
      assert.equal(await other.storage.getVolume(spec.name, never), undefined);
      await other.storage.createVolume(await volumeSpec(other), never);
      await other.storage.deleteVolume(spec.name, never);
      assert.ok(await fixture.storage.getVolume(spec.name, never));
    },
  },
  {
    id: "capabilities/facets",
    title: "facets are present exactly where the manifest says so, and the manifest is plain JSON",
    requires: [],
    async run({ storage }) {
      const { capabilities, expansion, snapshots } = storage;
      assert.equal(capabilities.expansion, expansion !== undefined, "expansion");
      assert.equal(capabilities.snapshots, snapshots !== undefined, "snapshots");
      assert.deepEqual(JSON.parse(JSON.stringify(capabilities)), capabilities);
      assert.ok(capabilities.blockSources.length > 0);
      for (const each of await storage.classes(never)) {
        assert.ok(each.uses.length > 0, `class ${each.name} has no use`);
        assert.ok(capabilities.expansion || !each.expandable, `class ${each.name} grows`);
        const snapshotClass = capabilities.snapshots ? each.snapshotClass : undefined;
        assert.equal(each.snapshotClass, snapshotClass, `class ${each.name} has snapshots`);
      }
    },
  },
  {
    id: "classes/default",
    title: "there is a class, and at most one is the default",
    requires: [],
    async run({ storage }) {
      const classes = await storage.classes(never);
      assert.ok(classes.length > 0);
      assert.ok(classes.filter(({ isDefault }) => isDefault).length <= 1);
    },
  },
  {
    id: "volumes/life",
    title: "a volume is made, found and deleted; deleting again does nothing",
    requires: [],
    async run(fixture) {
      const { storage } = fixture;
      const spec = await volumeSpec(fixture);
      assert.equal(await storage.getVolume(spec.name, never), undefined);
      const made = await storage.createVolume(spec, never);
      assert.equal(made.sizeBytes, spec.sizeBytes);
      assert.deepEqual(await storage.getVolume(spec.name, never), made);
      await storage.deleteVolume(spec.name, never);
      assert.equal(await storage.getVolume(spec.name, never), undefined);
      await storage.deleteVolume(spec.name, never);
    },
  },
  {
    id: "volumes/repeated",
    title: "making a volume again gives the same one; with another size it is refused",
    requires: [],
    async run(fixture) {
      const spec = await volumeSpec(fixture);
      const made = await fixture.storage.createVolume(spec, never);
      assert.deepEqual(await fixture.storage.createVolume(spec, never), made);
      const larger = fixture.storage.createVolume(
        { ...spec, sizeBytes: 2 * spec.sizeBytes },
        never,
      );
      await assert.rejects(larger, failsWith("POLYVISOR_ALREADY_EXISTS"));
      assert.deepEqual(await fixture.storage.getVolume(spec.name, never), made);
    },
  },
  {
    id: "volumes/unknown-class",
    title: "a class that does not exist is refused and nothing is made",
    requires: [],
    async run(fixture) {
      const spec = { ...(await volumeSpec(fixture)), storageClass: "no-such-class" };
      const making = fixture.storage.createVolume(spec, never);
      await assert.rejects(making, failsWith("POLYVISOR_NOT_FOUND"));
      assert.equal(await fixture.storage.getVolume(spec.name, never), undefined);
    },
  },
  {
    id: "attach/source",
    title: "attaching gives a source of a declared type; detaching can be repeated",
    requires: [],
    async run(fixture) {
      const { storage } = fixture;
      const spec = await volumeSpec(fixture);
      await storage.createVolume(spec, never);
      const source = await attach(fixture, spec.name);
      assert.ok(storage.capabilities.blockSources.includes(source.type));
      assert.deepEqual(await attach(fixture, spec.name), source);
      await detach(fixture, spec.name);
      await detach(fixture, spec.name);
    },
  },
  {
    id: "attach/missing",
    title: "a volume that does not exist cannot be attached",
    requires: [],
    async run(fixture) {
      await assert.rejects(attach(fixture, "vd-none"), failsWith("POLYVISOR_NOT_FOUND"));
    },
  },
  {
    id: "attach/hosts",
    title: "a ReadWriteMany volume is attached to two hosts, a ReadWriteOnce volume is not",
    requires: [],
    async run(fixture) {
      const { storage, otherHost } = fixture;
      if (otherHost === undefined || storage.capabilities.blockSources.includes("claim")) return;
      const classes = await storage.classes(never);
      for (const accessMode of ["ReadWriteMany", "ReadWriteOnce"] as const) {
        for (const { name: className, uses } of classes) {
          const use = uses.find((each) => each.accessMode === accessMode);
          if (use === undefined) continue;
          const name = `vd-${accessMode.toLowerCase()}`;
          const spec = await volumeSpec(fixture, { name, storageClass: className, use });
          await storage.createVolume(spec, never);
          await attach(fixture, name);
          const second = attach(fixture, name, otherHost);
          if (accessMode === "ReadWriteMany") await second;
          else await assert.rejects(second, failsWith("POLYVISOR_REFUSED"));
          break;
        }
      }
    },
  },
  {
    id: "content/fill",
    title: "a filled volume has the data, and zeros in holes and behind the end",
    requires: [],
    async run(fixture) {
      const { storage } = fixture;
      const spec = await volumeSpec(fixture);
      await storage.createVolume(spec, never);
      const data = pattern(MEBIBYTE + 512);
      const stream = streamOf([
        { type: "hole", length: MEBIBYTE },
        { type: "data", bytes: data },
        { type: "hole", length: 2 * MEBIBYTE - 512 },
        { type: "data", bytes: data },
      ]);
      let progress = 0;
      await storage.content.fill(spec.name, stream, {
        signal: never,
        onProgress: (bytes) => {
          assert.ok(bytes >= progress);
          progress = bytes;
        },
      });
      assert.equal(progress, stream.sizeBytes);
      const expected = Buffer.alloc(spec.sizeBytes);
      expected.set(data, MEBIBYTE);
      expected.set(data, 4 * MEBIBYTE);
      await assertContent(fixture, spec.name, expected);
      assert.equal((await storage.getVolume(spec.name, never))?.sizeBytes, spec.sizeBytes);
    },
  },
  {
    id: "content/read",
    title: "what was written is read again",
    requires: [],
    async run(fixture) {
      const { volume, expected } = await filledVolume(fixture);
      const source = { type: "volume", name: volume.name } as const;
      await using stream = await fixture.storage.content.read(source, { signal: never });
      assert.equal(stream.sizeBytes, volume.sizeBytes);
      const content = Buffer.alloc(stream.sizeBytes);
      let offset = 0;
      for await (const extent of stream) {
        if (extent.type === "data") content.set(extent.bytes, offset);
        offset += extent.type === "data" ? extent.bytes.length : extent.length;
      }
      assert.equal(offset, stream.sizeBytes);
      assert.ok(expected.equals(content), "the content differs");
      const missing = fixture.storage.content.read(
        { type: "volume", name: "vd-none" },
        { signal: never },
      );
      await assert.rejects(missing, failsWith("POLYVISOR_NOT_FOUND"));
    },
  },
  {
    id: "content/too-large",
    title: "a stream that is larger than the volume is refused",
    requires: [],
    async run(fixture) {
      const spec = await volumeSpec(fixture, { sizeBytes: MEBIBYTE });
      await fixture.storage.createVolume(spec, never);
      const stream = streamOf([{ type: "data", bytes: pattern(MEBIBYTE + 512) }]);
      const filling = fixture.storage.content.fill(spec.name, stream, { signal: never });
      await assert.rejects(filling, failsWith("POLYVISOR_INVALID"));
    },
  },
  {
    id: "content/aborted",
    title: "filling ends when its signal is aborted, and the volume can be deleted",
    requires: [],
    async run(fixture) {
      const { storage } = fixture;
      const spec = await volumeSpec(fixture);
      await storage.createVolume(spec, never);
      const ending = new AbortController();
      const stream: SparseStream = {
        sizeBytes: spec.sizeBytes,
        async *[Symbol.asyncIterator]() {
          yield { type: "data", bytes: pattern(MEBIBYTE) };
          ending.abort(new Error("no longer wanted"));
          yield { type: "data", bytes: pattern(MEBIBYTE) };
          yield { type: "hole", length: spec.sizeBytes - 2 * MEBIBYTE };
        },
        [Symbol.asyncDispose]: async () => {},
      };
      await assert.rejects(storage.content.fill(spec.name, stream, { signal: ending.signal }));
      await storage.deleteVolume(spec.name, never);
      assert.equal(await storage.getVolume(spec.name, never), undefined);
    },
  },
  {
    id: "content/failing-source",
    title: "the error of a source that fails comes through, and the volume can be deleted",
    requires: [],
    async run(fixture) {
      const { storage } = fixture;
      const spec = await volumeSpec(fixture);
      await storage.createVolume(spec, never);
      const stream: SparseStream = {
        sizeBytes: spec.sizeBytes,
        async *[Symbol.asyncIterator]() {
          yield { type: "data", bytes: pattern(MEBIBYTE) };
          throw new Error("the source broke");
        },
        [Symbol.asyncDispose]: async () => {},
      };
      const filling = storage.content.fill(spec.name, stream, { signal: never });
      await assert.rejects(filling, /the source broke/);
      await storage.deleteVolume(spec.name, never);
      assert.equal(await storage.getVolume(spec.name, never), undefined);
    },
  },
];
