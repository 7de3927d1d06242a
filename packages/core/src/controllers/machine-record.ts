import type { GuestRecord } from "../api/virtual-machine-status.ts";
import type { VirtualMachine } from "../api/virtual-machine.ts";
import { jsonEquals } from "../util/json.ts";
import type { ControllerContext } from "./controller-context.ts";

/** Stores the record of a guest before anything is done that it speaks of. */
export async function storeRecord<R extends GuestRecord>(
  { store }: ControllerContext,
  vm: VirtualMachine,
  record: R,
): Promise<{ readonly vm: VirtualMachine; readonly record: R }> {
  if (jsonEquals(vm.status?.guest, record)) return { vm, record };
  const status = {
    phase: "Pending" as const,
    conditions: [],
    observedGeneration: vm.metadata.generation,
    ...vm.status,
    guest: record,
  };
  return { vm: await store.updateStatus("VirtualMachine", { ...vm, status }), record };
}
