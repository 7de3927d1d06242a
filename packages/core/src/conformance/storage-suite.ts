import assert from "node:assert/strict";
import type { BlockSource } from "../backend/block-source.ts";
import type { SparseExtent, SparseStream } from "../backend/sparse-stream.ts";
import type { Storage, VolumeSpec } from "../backend/storage.ts";
import { isPolyvisorError, type PolyvisorErrorCode } from "../util/errors.ts";
import type { ConformanceCase, ConformanceSuite } from "./conformance-case.ts";

/** A storage that is open, and what the suite needs around it. */
export interface StorageFixture extends AsyncDisposable {
  readonly storage: Storage;
  /** A host that volumes can be attached to. */
  readonly host: string;
  /** The whole content of an attached volume, as its host sees it. */
  read(name: string, source: BlockSource): Promise<Uint8Array>;
}

const never: AbortSignal = new AbortController().signal;
const MEBIBYTE = 2 ** 20;

function failsWith(code: PolyvisorErrorCode): (error: unknown) => boolean {
  return (error) => isPolyvisorError(error, code);
}

async function volumeSpec(
  { storage }: StorageFixture,
  sizeBytes = 8 * MEBIBYTE,
): Promise<VolumeSpec> {
  const classes = await storage.classes(never);
  const storageClass = classes.find(({ isDefault }) => isDefault) ?? classes[0];
  assert.ok(storageClass, "the storage has no class");
  const [use] = storageClass.uses;
  assert.ok(use, "the class has no use");
  return { name: "vd-conformance", storageClass: storageClass.name, sizeBytes, use };
}

function streamOf(extents: readonly SparseExtent[]): SparseStream {
  const lengths = extents.map((extent) =>
    extent.type === "data" ? extent.bytes.length : extent.length,
  );
  return {
    sizeBytes: lengths.reduce((total, length) => total + length, 0),
    async *[Symbol.asyncIterator]() {
      yield* extents;
    },
    [Symbol.asyncDispose]: async () => {},
  };
}

function pattern(length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, index) => (index * 31 + (index >> 9)) & 0xff);
}

const cases: readonly ConformanceCase<StorageFixture>[] = [
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
      const { storage, host } = fixture;
      const spec = await volumeSpec(fixture);
      await storage.createVolume(spec, never);
      const source = await storage.attach(spec.name, host, never);
      assert.ok(storage.capabilities.blockSources.includes(source.type));
      assert.deepEqual(await storage.attach(spec.name, host, never), source);
      await storage.detach(spec.name, host, never);
      await storage.detach(spec.name, host, never);
    },
  },
  {
    id: "attach/missing",
    title: "a volume that does not exist cannot be attached",
    requires: [],
    async run({ storage, host }) {
      await assert.rejects(
        storage.attach("vd-none", host, never),
        failsWith("POLYVISOR_NOT_FOUND"),
      );
    },
  },
  {
    id: "content/fill",
    title: "a filled volume has the data, and zeros in holes and behind the end",
    requires: [],
    async run(fixture) {
      const { storage, host } = fixture;
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
      const content = await fixture.read(spec.name, await storage.attach(spec.name, host, never));
      assert.equal(content.length, spec.sizeBytes);
      assert.ok(expected.equals(content), "the content differs");
      assert.equal((await storage.getVolume(spec.name, never))?.sizeBytes, spec.sizeBytes);
    },
  },
  {
    id: "content/too-large",
    title: "a stream that is larger than the volume is refused",
    requires: [],
    async run(fixture) {
      const spec = await volumeSpec(fixture, MEBIBYTE);
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

/** What every storage must do. */
export const storageSuite: ConformanceSuite<StorageFixture> = {
  port: "Storage",
  cases,
  capabilities: ({ storage }) => storage.capabilities,
};
