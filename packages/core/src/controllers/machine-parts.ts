import type { ConditionInput } from "../api/conditions.ts";
import { findCondition } from "../api/conditions.ts";
import { keyOf } from "../api/meta.ts";
import { sizingProblem } from "../api/sizing-policy.ts";
import type { VirtualMachineClass } from "../api/virtual-machine-class.ts";
import type { VirtualMachine } from "../api/virtual-machine.ts";
import { condition } from "../machine/machine-conditions.ts";
import { decideProvisioning, type ProvisioningData } from "../machine/provisioning-decision.ts";
import { snapshottingConditions } from "../snapshots/machine-snapshotting.ts";
import type { ControllerContext } from "./controller-context.ts";
import { findAddress, type MachineAddress } from "./machine-address.ts";
import { findMac } from "./machine-mac.ts";
import { findDevices, type MachineDevices } from "./machine-block-devices.ts";

/** What a VM needs from other resources, as far as it is there. */
export interface MachineParts {
  readonly vmClass?: VirtualMachineClass;
  readonly address?: MachineAddress;
  /** Absent when the VM names none: it follows from the IP address then. */
  readonly mac?: string;
  readonly devices: MachineDevices;
  readonly provisioning: ProvisioningData;
  /** One for each need. */
  readonly conditions: readonly ConditionInput[];
  /** True when the guest can be built. */
  readonly ready: boolean;
}

/** Gathers what a VM needs. Makes the claim to an address when the VM names none. */
export async function gatherMachineParts(
  vm: VirtualMachine,
  context: ControllerContext,
): Promise<MachineParts> {
  const classPart = findClass(vm, context);
  const addressPart = await findAddress(vm, context);
  const macPart = findMac(vm, context);
  const devices = findDevices(vm, context);
  const { condition: provisioned, ...provisioning } = decideProvisioning(
    vm.spec.provisioning,
    vm.metadata.namespace ?? "",
    (name) => context.caches.of("Secret").get(`${vm.metadata.namespace}/${name}`),
  );
  const conditions = [
    addressPart.condition,
    macPart.condition,
    ...classPart.conditions,
    devices.condition,
    provisioned,
    ...snapshottingConditions(phasesOfSnapshots(vm, context)),
  ];
  const { vmClass } = classPart;
  const { address } = addressPart;
  return {
    ...(vmClass && { vmClass }),
    ...(address && { address }),
    ...(macPart.mac !== undefined && { mac: macPart.mac }),
    devices,
    provisioning,
    conditions,
    ready: conditions.every(
      ({ status, reason }) =>
        (status === "True" && reason !== SNAPSHOTTING) || reason === WAITING_FOR_FIRST_CONSUMER,
    ),
  };
}

/** A disk that is made where the VM will run does not keep it from being placed. */
const WAITING_FOR_FIRST_CONSUMER = "WaitingForWaitForFirstConsumerBlockDevicesToBeReady";

/** Disks that are read for a snapshot must not change. */
const SNAPSHOTTING = "SnapshottingInProgress";

/** Names the snapshots of a VM: an index of their cache. */
const SNAPSHOTS_BY_MACHINE = "machine-of-snapshot";

/** To be called before the caches follow the store. */
export function indexMachineSnapshots({ caches }: ControllerContext): void {
  caches
    .of("VirtualMachineSnapshot")
    .addIndex(SNAPSHOTS_BY_MACHINE, ({ metadata, spec }) => [
      `${metadata.namespace}/${spec.virtualMachineName}`,
    ]);
}

function phasesOfSnapshots(
  { metadata }: VirtualMachine,
  { caches }: ControllerContext,
): ("Pending" | "InProgress")[] {
  const snapshots = caches
    .of("VirtualMachineSnapshot")
    .findBy(SNAPSHOTS_BY_MACHINE, keyOf(metadata));
  return snapshots.flatMap(({ status }) => {
    const phase = status?.phase ?? "Pending";
    return phase === "Pending" || phase === "InProgress" ? [phase] : [];
  });
}

function findClass(
  vm: VirtualMachine,
  { caches }: ControllerContext,
): {
  readonly vmClass?: VirtualMachineClass;
  readonly conditions: readonly ConditionInput[];
} {
  const type = "VirtualMachineClassReady";
  const name = vm.spec.virtualMachineClassName;
  const field = "spec.virtualMachineClassName";
  const vmClass = caches.of("VirtualMachineClass").get(name);
  const notReady = (message: string): ConditionInput =>
    condition(type, "False", "VirtualMachineClassNotReady", `${field}: ${message}`);
  if (vmClass === undefined) {
    const known = [...caches.of("VirtualMachineClass").values()].map(
      ({ metadata }) => metadata.name,
    );
    const choice =
      known.length === 0 ? "create it" : `create it or choose one of ${known.sort().join(", ")}`;
    return { conditions: [notReady(`VirtualMachineClass "${name}" does not exist: ${choice}.`)] };
  }
  const { cores, coreFraction } = vm.spec.cpu;
  const problem = sizingProblem(name, vmClass.spec.sizingPolicies, {
    cores,
    coreFraction,
    memorySize: vm.spec.memory.size,
  });
  const sizing =
    problem === undefined
      ? []
      : [
          condition(
            "SizingPolicyMatched",
            "False",
            "SizingPolicyNotMatched",
            `The VirtualMachine ${problem}`,
          ),
        ];
  const { status } = vmClass;
  if (status?.phase !== "Ready") {
    const why = findCondition(status?.conditions, "Ready")?.message;
    const message = `VirtualMachineClass "${name}" is ${status?.phase ?? "Pending"}: ${why || "waiting for it to be Ready."}`;
    return { vmClass, conditions: [notReady(message), ...sizing] };
  }
  return { vmClass, conditions: [condition(type, "True", type), ...sizing] };
}
