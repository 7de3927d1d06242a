import type { ConformanceSuite } from "./conformance-case.ts";
import { EXPANSION_CASES } from "./storage/expansion-cases.ts";
import { SNAPSHOT_CASES } from "./storage/snapshot-cases.ts";
import type { StorageFixture } from "./storage/storage-fixture.ts";
import { VOLUME_CASES } from "./storage/volume-cases.ts";

/** What every storage must do. */
export const storageSuite: ConformanceSuite<StorageFixture> = {
  port: "Storage",
  cases: [...VOLUME_CASES, ...EXPANSION_CASES, ...SNAPSHOT_CASES],
  capabilities: ({ storage }) => storage.capabilities,
};
