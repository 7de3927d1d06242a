import { type ClassCpu, V1ALPHA3 } from "../api/virtual-machine-class.ts";
import type { ResourceStore } from "../store/resource-store.ts";
import { isPolyvisorError } from "../util/errors.ts";

/** Classes that are there from the start. Source: the DVP administrator guide, "Virtual machine classes". */
const PREDEFINED: Readonly<Record<string, ClassCpu>> = {
  generic: { type: "Model", model: "Nehalem" },
  host: { type: "Host" },
  "host-passthrough": { type: "HostPassthrough" },
};

/** Makes the predefined classes that are not there. */
export async function createPredefinedClasses(store: ResourceStore): Promise<void> {
  for (const [name, cpu] of Object.entries(PREDEFINED)) {
    try {
      await store.create("VirtualMachineClass", {
        apiVersion: V1ALPHA3,
        kind: "VirtualMachineClass",
        metadata: { name },
        spec: { cpu },
      });
    } catch (error) {
      if (!isPolyvisorError(error, "POLYVISOR_ALREADY_EXISTS")) throw error;
    }
  }
}
