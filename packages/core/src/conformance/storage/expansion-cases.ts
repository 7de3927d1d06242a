import assert from "node:assert/strict";
import type { VolumeExpansion } from "../../backend/storage.ts";
import { failsWith, never } from "../expectations.ts";
import {
  assertContent,
  filledVolume,
  MEBIBYTE,
  type StorageCase,
  type StorageFixture,
  storageClass,
} from "./storage-fixture.ts";

function facet({ storage }: StorageFixture): VolumeExpansion {
  assert.ok(storage.expansion, "the facet is missing");
  return storage.expansion;
}

/** Volumes that grow. */
export const EXPANSION_CASES: readonly StorageCase[] = [
  {
    id: "expansion/grows",
    title: "a volume grows and keeps its content; it never shrinks",
    requires: ["expansion"],
    async run(fixture) {
      const { expandable } = await storageClass(fixture);
      const { volume, expected } = await filledVolume(fixture);
      const sizeBytes = volume.sizeBytes + 4 * MEBIBYTE;
      const growing = facet(fixture).expand(volume.name, sizeBytes, never);
      if (!expandable) {
        await assert.rejects(growing, failsWith("POLYVISOR_REFUSED"));
        return;
      }
      assert.equal((await growing).sizeBytes, sizeBytes);
      assert.equal(
        (await facet(fixture).expand(volume.name, MEBIBYTE, never)).sizeBytes,
        sizeBytes,
      );
      const found = await fixture.storage.getVolume(volume.name, never);
      assert.equal(found?.sizeBytes, sizeBytes);
      await assertContent(
        fixture,
        volume.name,
        Buffer.concat([expected, Buffer.alloc(4 * MEBIBYTE)]),
      );
    },
  },
  {
    id: "expansion/missing",
    title: "a volume that does not exist does not grow",
    requires: ["expansion"],
    async run(fixture) {
      const growing = facet(fixture).expand("vd-none", MEBIBYTE, never);
      await assert.rejects(growing, failsWith("POLYVISOR_NOT_FOUND"));
    },
  },
];
