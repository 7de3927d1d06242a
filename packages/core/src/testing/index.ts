export { FakeClock } from "./fake-clock.ts";
export { FakeHypervisor, type FakeHypervisorOptions } from "./fake-hypervisor.ts";
export { type FakeImage, FakeImageStore } from "./fake-image-store.ts";
export { FakeStorage, type WrittenExtent } from "./fake-storage.ts";
export { type FaultRule, type Faulty, withFaults } from "./faults.ts";
