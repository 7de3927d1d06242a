export {
  type ConformanceCase,
  type ConformanceResult,
  type ConformanceSuite,
  type OpenFixture,
  runConformance,
  type Waivers,
} from "./conformance-case.ts";
export { type HypervisorFixture, hypervisorSuite } from "./hypervisor-suite.ts";
export { type ResourceStoreFixture, resourceStoreSuite } from "./resource-store-suite.ts";
export { type StorageFixture, storageSuite } from "./storage-suite.ts";
