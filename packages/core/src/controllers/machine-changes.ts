import type { VirtualMachineClass } from "../api/virtual-machine-class.ts";
import type { GuestRecord } from "../api/virtual-machine-status.ts";
import type { VirtualMachine } from "../api/virtual-machine.ts";
import {
  type ConfigurationChange,
  configurationChanges,
} from "../machine/configuration-changes.ts";
import { migrationObstacle } from "../machine/running-conditions.ts";
import { evictionReason, type EvictionReason } from "../placement/eviction-decision.ts";
import type { ControllerContext } from "./controller-context.ts";
import { placementTerms } from "./machine-placement.ts";
import { isDraining } from "./node-drain.ts";

/** The differences between what a running guest was built from and what its VM wants. */
export function changesOf(
  vm: VirtualMachine,
  record: GuestRecord | undefined,
  vmClass: VirtualMachineClass | undefined,
  context: ControllerContext,
): ConfigurationChange[] {
  if (record?.appliedSpec === undefined || record.state === "Stopped") return [];
  const capabilities = capabilitiesOf(record, context);
  const stays = evictionFrom(record.host, vm, vmClass, context)?.prefix !== "nodeplacement-update-";
  const applied = record.appliedSpec;
  return configurationChanges(applied, vm.spec, {
    hotplug:
      capabilities?.hotplug === true &&
      applied.enableParavirtualization &&
      vm.spec.enableParavirtualization,
    placeable: stays || migrationObstacle(record, capabilities) === undefined,
  });
}

/** Why the guest of a VM is to leave its host. What its own terms say counts only once it has taken effect. */
export function machineEviction(
  vm: VirtualMachine,
  record: GuestRecord | undefined,
  vmClass: VirtualMachineClass | undefined,
  context: ControllerContext,
): EvictionReason | undefined {
  if (record?.state !== "Running" || record.appliedSpec === undefined) return undefined;
  const applied = { ...vm, spec: record.appliedSpec };
  return evictionFrom(record.host, applied, vmClass, context);
}

function evictionFrom(
  host: string | undefined,
  vm: VirtualMachine,
  vmClass: VirtualMachineClass | undefined,
  { caches }: ControllerContext,
): EvictionReason | undefined {
  const node = host === undefined ? undefined : caches.of("Node").get(host);
  if (node === undefined || vmClass === undefined) return undefined;
  return evictionReason(
    {
      name: node.metadata.name,
      labels: node.metadata.labels ?? {},
      taints: node.spec.taints ?? [],
      draining: isDraining(node),
    },
    placementTerms(vm, vmClass),
  );
}

function capabilitiesOf({ hypervisor: name }: GuestRecord, { fleet }: ControllerContext) {
  const member = fleet.members().find(({ hypervisor }) => hypervisor.name === name);
  return member?.hypervisor.capabilities;
}
