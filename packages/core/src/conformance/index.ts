export {
  type ConformanceCase,
  type ConformanceResult,
  type ConformanceSuite,
  type OpenFixture,
  runConformance,
  type Waivers,
} from "./conformance-case.ts";
export { formatReport } from "./format-report.ts";
export { type FencingFixture, fencingSuite } from "./fencing-suite.ts";
export type { HypervisorFixture } from "./hypervisor/hypervisor-fixture.ts";
export { hypervisorSuite } from "./hypervisor-suite.ts";
export { type ImageStoreFixture, imageStoreSuite } from "./image-store-suite.ts";
export { type ResourceStoreFixture, resourceStoreSuite } from "./resource-store-suite.ts";
export type { StorageFixture } from "./storage/storage-fixture.ts";
export { storageSuite } from "./storage-suite.ts";
