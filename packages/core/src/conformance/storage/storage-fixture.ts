import assert from "node:assert/strict";
import type { BlockSource } from "../../backend/block-source.ts";
import type { SparseExtent, SparseStream } from "../../backend/sparse-stream.ts";
import type { Storage, StorageClassInfo, VolumeSpec, VolumeState } from "../../backend/storage.ts";
import type { ConformanceCase } from "../conformance-case.ts";
import { never } from "../expectations.ts";

/** A storage that is open, and what the suite needs around it. */
export interface StorageFixture extends AsyncDisposable {
  readonly storage: Storage;
  /** A host that volumes can be attached to. */
  readonly host: string;
  /** Another one; without it, nothing is attached twice. */
  readonly otherHost?: string;
  /** The whole content of an attached volume, as its host sees it. */
  read(name: string, source: BlockSource): Promise<Uint8Array>;
}

/** A case of the suite for storages. */
export type StorageCase = ConformanceCase<StorageFixture>;

export const MEBIBYTE: number = 2 ** 20;

/** The class that volumes of the suite are of. */
export async function storageClass({ storage }: StorageFixture): Promise<StorageClassInfo> {
  const classes = await storage.classes(never);
  const found = classes.find(({ isDefault }) => isDefault) ?? classes[0];
  assert.ok(found, "the storage has no class");
  return found;
}

export async function volumeSpec(
  fixture: StorageFixture,
  extra: Partial<VolumeSpec> = {},
): Promise<VolumeSpec> {
  const { name, uses } = await storageClass(fixture);
  const [use] = uses;
  assert.ok(use, "the class has no use");
  return {
    name: "vd-conformance",
    storageClass: name,
    sizeBytes: 8 * MEBIBYTE,
    use,
    host: fixture.host,
    ...extra,
  };
}

/** Attaches a volume as its storage does it: to the host, or for a cluster to bring it where it likes. */
export function attach(
  { storage, host }: StorageFixture,
  name: string,
  to: string = host,
): Promise<BlockSource> {
  return storage.attach(name, isClaims(storage) ? undefined : to, never);
}

export function detach({ storage, host }: StorageFixture, name: string): Promise<void> {
  return storage.detach(name, isClaims(storage) ? undefined : host, never);
}

function isClaims({ capabilities }: Storage): boolean {
  return capabilities.blockSources.includes("claim");
}

export function streamOf(extents: readonly SparseExtent[]): SparseStream {
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

export function pattern(length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let index = 0; index < length; index += 1) bytes[index] = index * 31 + (index >> 9);
  return bytes;
}

/** Makes a volume of 8 MiB that holds a pattern from 1 MiB on, and gives it with its content. */
export async function filledVolume(
  fixture: StorageFixture,
): Promise<{ readonly volume: VolumeState; readonly expected: Buffer }> {
  const spec = await volumeSpec(fixture);
  const volume = await fixture.storage.createVolume(spec, never);
  const data = pattern(MEBIBYTE + 512);
  const extents = [
    { type: "hole", length: MEBIBYTE },
    { type: "data", bytes: data },
  ] as const;
  await fixture.storage.content.fill(spec.name, streamOf(extents), { signal: never });
  const expected = Buffer.alloc(spec.sizeBytes);
  expected.set(data, MEBIBYTE);
  return { volume, expected };
}

/** Fails unless a volume holds exactly that. */
export async function assertContent(
  fixture: StorageFixture,
  name: string,
  expected: Buffer,
): Promise<void> {
  const content = await fixture.read(name, await attach(fixture, name));
  assert.equal(content.length, expected.length);
  assert.ok(expected.equals(content), "the content differs");
}
