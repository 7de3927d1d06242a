import { V1ALPHA3, type VirtualMachineClassSpec } from "../api/virtual-machine-class.ts";
import type { ResourceStore } from "../store/resource-store.ts";
import { isPolyvisorError } from "../util/errors.ts";

/** Classes that are there from the start. Source: the DVP administrator guide, "Virtual machine classes". */
const PREDEFINED: Readonly<Record<string, VirtualMachineClassSpec>> = {
  generic: {
    cpu: { type: "Model", model: "Nehalem" },
    sizingPolicies: [
      { cores: { min: 1, max: 4 }, coreFractions: ["5%", "10%", "20%", "50%", "100%"] },
      { cores: { min: 5, max: 8 }, coreFractions: ["20%", "50%", "100%"] },
      { cores: { min: 9, max: 16 }, coreFractions: ["50%", "100%"] },
      { cores: { min: 17, max: 1024 }, coreFractions: ["100%"] },
    ],
  },
  host: { cpu: { type: "Host" } },
  "host-passthrough": { cpu: { type: "HostPassthrough" } },
};

/** Makes the predefined classes that are not there. */
export async function createPredefinedClasses(store: ResourceStore): Promise<void> {
  for (const [name, spec] of Object.entries(PREDEFINED)) {
    try {
      await store.create("VirtualMachineClass", {
        apiVersion: V1ALPHA3,
        kind: "VirtualMachineClass",
        metadata: { name },
        spec,
      });
    } catch (error) {
      if (!isPolyvisorError(error, "POLYVISOR_ALREADY_EXISTS")) throw error;
    }
  }
}
