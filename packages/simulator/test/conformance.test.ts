import {
  fencingSuite,
  hypervisorSuite,
  imageStoreSuite,
  storageSuite,
} from "@polyvisor/core/conformance";
import { describeConformance } from "@polyvisor/core/conformance/vitest";
import {
  openFencing,
  openHypervisor,
  openImageStore,
  openStorage,
  SHAPES,
} from "./support/fixtures.ts";

for (const shape of SHAPES) {
  describeConformance(`simulator, ${shape}`, hypervisorSuite, () => openHypervisor(shape));
  describeConformance(`simulator, ${shape}`, storageSuite, () => openStorage(shape));
}
describeConformance("simulator", imageStoreSuite, openImageStore);
describeConformance("simulator", fencingSuite, openFencing);
