export { FakeClock } from "./fake-clock.ts";
export { FakeHypervisor, type FakeHypervisorOptions } from "./fake-hypervisor.ts";
export { FAKE_ISO_MAGIC, type FakeImage, FakeImageStore } from "./fake-image-store.ts";
export { FakeStorage, type FakeStorageOptions, type WrittenExtent } from "./fake-storage.ts";
export { type FaultRule, type Faulty, withFaults } from "./faults.ts";
