import { cpuTopology } from "../api/cpu-topology.ts";
import type { VirtualMachineStatus } from "../api/virtual-machine-status.ts";
import type { VirtualMachineSpec } from "../api/virtual-machine.ts";

type Resources = NonNullable<VirtualMachineStatus["resources"]>;

/** Thousandths of a core that are set aside for a VM, rounded up. */
export function requestedMillicores({ cores, coreFraction }: VirtualMachineSpec["cpu"]): number {
  return Math.ceil((fractionPercent(coreFraction) * cores * 1000) / 100);
}

/** The number in `20%`. */
export function fractionPercent(coreFraction: string): number {
  return Number.parseInt(coreFraction, 10);
}

/** `status.resources` of a VM with this spec. */
export function machineResources({ cpu, memory }: VirtualMachineSpec): Resources {
  return {
    cpu: {
      cores: cpu.cores,
      coreFraction: cpu.coreFraction,
      requestedCores: `${requestedMillicores(cpu)}m`,
      topology: cpuTopology(cpu.cores),
    },
    memory: { size: memory.size },
  };
}
