import assert from "node:assert/strict";
import type { VolumeSnapshots, VolumeSource } from "../../backend/storage.ts";
import { failsWith, never } from "../expectations.ts";
import {
  assertContent,
  filledVolume,
  MEBIBYTE,
  type StorageCase,
  type StorageFixture,
  volumeSpec,
} from "./storage-fixture.ts";

function facet({ storage }: StorageFixture): VolumeSnapshots {
  assert.ok(storage.snapshots, "the facet is missing");
  return storage.snapshots;
}

/** Makes a volume of a source, larger than that. */
async function madeFrom(fixture: StorageFixture, source: VolumeSource): Promise<string> {
  const sizeBytes = 12 * MEBIBYTE;
  const spec = await volumeSpec(fixture, { name: "vd-made", sizeBytes, source });
  const made = await fixture.storage.createVolume(spec, never);
  assert.equal(made.sizeBytes, sizeBytes);
  assert.deepEqual(await fixture.storage.createVolume(spec, never), made);
  return made.name;
}

async function assertTooSmall(fixture: StorageFixture, source: VolumeSource): Promise<void> {
  const spec = await volumeSpec(fixture, { name: "vd-small", sizeBytes: MEBIBYTE, source });
  const making = fixture.storage.createVolume(spec, never);
  await assert.rejects(making, failsWith("POLYVISOR_INVALID", "POLYVISOR_REFUSED"));
  assert.equal(await fixture.storage.getVolume("vd-small", never), undefined);
}

/** Snapshots, and volumes that are made of something. */
export const SNAPSHOT_CASES: readonly StorageCase[] = [
  {
    id: "snapshots/life",
    title: "a snapshot is made, found and deleted; each can be repeated",
    requires: ["snapshots"],
    async run(fixture) {
      const { volume } = await filledVolume(fixture);
      const spec = { name: "snapshot-one", volume: volume.name };
      assert.equal(await facet(fixture).get(spec.name, never), undefined);
      const made = await facet(fixture).create(spec, never);
      assert.equal(made.volume, volume.name);
      assert.equal(made.storageClass, volume.storageClass);
      assert.deepEqual(await facet(fixture).create(spec, never), made);
      assert.deepEqual(await facet(fixture).get(spec.name, never), made);
      await facet(fixture).delete(spec.name, never);
      assert.equal(await facet(fixture).get(spec.name, never), undefined);
      await facet(fixture).delete(spec.name, never);
    },
  },
  {
    id: "snapshots/conflict",
    title: "a name is of one volume's snapshot, and there is none of a volume that does not exist",
    requires: ["snapshots"],
    async run(fixture) {
      const { volume } = await filledVolume(fixture);
      await facet(fixture).create({ name: "snapshot-one", volume: volume.name }, never);
      await fixture.storage.createVolume(await volumeSpec(fixture, { name: "vd-other" }), never);
      const other = facet(fixture).create({ name: "snapshot-one", volume: "vd-other" }, never);
      await assert.rejects(other, failsWith("POLYVISOR_ALREADY_EXISTS"));
      const missing = facet(fixture).create({ name: "snapshot-two", volume: "vd-none" }, never);
      await assert.rejects(missing, failsWith("POLYVISOR_NOT_FOUND"));
      assert.equal(await facet(fixture).get("snapshot-two", never), undefined);
    },
  },
  {
    id: "snapshots/outlive",
    title: "a snapshot outlives its volume, and a volume made from it has the content",
    requires: ["snapshots"],
    async run(fixture) {
      const { volume, expected } = await filledVolume(fixture);
      await facet(fixture).create({ name: "snapshot-one", volume: volume.name }, never);
      await fixture.storage.deleteVolume(volume.name, never);
      const source = { type: "snapshot", name: "snapshot-one" } as const;
      await assertTooSmall(fixture, source);
      const made = await madeFrom(fixture, source);
      await facet(fixture).delete("snapshot-one", never);
      await assertContent(fixture, made, Buffer.concat([expected, Buffer.alloc(4 * MEBIBYTE)]));
    },
  },
  {
    id: "snapshots/missing-source",
    title: "no volume is made from a snapshot that does not exist",
    requires: ["snapshots"],
    async run(fixture) {
      const source = { type: "snapshot", name: "snapshot-none" } as const;
      const spec = await volumeSpec(fixture, { source });
      const making = fixture.storage.createVolume(spec, never);
      await assert.rejects(making, failsWith("POLYVISOR_NOT_FOUND"));
      assert.equal(await fixture.storage.getVolume(spec.name, never), undefined);
    },
  },
  {
    id: "cloning/content",
    title: "a volume made from a volume has its content and outlives it",
    requires: ["cloning"],
    async run(fixture) {
      const { volume, expected } = await filledVolume(fixture);
      const source = { type: "volume", name: volume.name } as const;
      await assertTooSmall(fixture, source);
      const made = await madeFrom(fixture, source);
      await fixture.storage.deleteVolume(volume.name, never);
      await assertContent(fixture, made, Buffer.concat([expected, Buffer.alloc(4 * MEBIBYTE)]));
    },
  },
];
