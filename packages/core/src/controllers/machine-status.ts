import { type ConditionInput, findCondition, mergeConditions } from "../api/conditions.ts";
import type {
  BlockDeviceStatus,
  GuestRecord,
  RestartAwaitingChange,
  VirtualMachineStatus,
} from "../api/virtual-machine-status.ts";
import type { VirtualMachine } from "../api/virtual-machine.ts";
import type { GuestAgentInfo } from "../backend/guest-agent.ts";
import type { GuestObservation } from "../machine/guest-record.ts";
import { isSameDevice } from "../machine/configuration-changes.ts";
import { runningCondition, virtualMachinePhase } from "../machine/machine-conditions.ts";
import { machineResources } from "../machine/machine-resources.ts";
import { machineStatistics } from "../machine/machine-statistics.ts";
import { runningConditions } from "../machine/running-conditions.ts";
import { macAddressOf } from "../util/address-range.ts";
import type { ControllerContext } from "./controller-context.ts";
import { ownClaimName } from "./machine-address.ts";
import type { MachineParts } from "./machine-parts.ts";

/** What a VM's status is put together from. */
export interface StatusInputs {
  readonly vm: VirtualMachine;
  readonly record: GuestRecord | undefined;
  readonly observation: GuestObservation;
  readonly parts: MachineParts | undefined;
  readonly startWanted: boolean;
  readonly problem: string | undefined;
  readonly awaitingRestart: readonly RestartAwaitingChange[];
  readonly evictionReason: string | undefined;
  readonly maintenance: boolean;
  readonly agentInfo: GuestAgentInfo | undefined;
  readonly now: string;
}

/** The status of a VM. */
export function machineStatus(
  inputs: StatusInputs,
  context: ControllerContext,
): VirtualMachineStatus {
  const { vm, record, observation, parts, problem, awaitingRestart, now, agentInfo } = inputs;
  const { generation, deletionTimestamp } = vm.metadata;
  const phase = virtualMachinePhase({ ...inputs, deleting: deletionTimestamp !== undefined });
  const computed: ConditionInput[] = [
    ...(parts?.conditions ?? []),
    runningCondition(record, observation, problem),
    ...runningConditions({
      ...inputs,
      capabilities: capabilitiesOf(record, context),
      agentSupported: agentInfo?.supported ?? true,
    }),
  ];
  const conditions = mergeConditions(
    vm.status?.conditions,
    computed.map((input) => ({ ...input, observedGeneration: generation })),
    now,
  );
  const isActive = record !== undefined && record.state !== "Stopped";
  const applied = (isActive ? record.appliedSpec : undefined) ?? vm.spec;
  const address = parts?.address;
  const ipAddress = address?.address ?? vm.status?.ipAddress;
  const migrationState = migrationStatus(inputs);
  const guestOSInfo = isActive ? osInfo(agentInfo) : undefined;
  const versions = isActive ? versionsOf(record, context) : undefined;
  return {
    phase,
    ...(isActive && record.host !== undefined && { nodeName: record.host }),
    virtualMachineIPAddressName:
      address?.claimName ?? vm.status?.virtualMachineIPAddressName ?? ownClaimName(vm),
    ...(ipAddress !== undefined && {
      ipAddress,
      networks: [{ id: 1, type: "Main", macAddress: macAddressOf(ipAddress), ipAddress }],
    }),
    blockDeviceRefs: blockDevices(vm, record, context),
    resources: machineResources(applied),
    ...(awaitingRestart.length > 0 && { restartAwaitingChanges: awaitingRestart }),
    ...(migrationState && { migrationState }),
    stats: machineStatistics({
      previous: vm.status?.stats,
      phase,
      record,
      agentReady: findCondition(conditions, "AgentReady"),
      now,
    }),
    ...(guestOSInfo && { guestOSInfo }),
    ...(versions && { versions }),
    ...(record && { guest: record }),
    conditions,
    observedGeneration: generation,
  };
}

function capabilitiesOf(record: GuestRecord | undefined, { fleet }: ControllerContext) {
  const member = fleet.members().find(({ hypervisor }) => hypervisor.name === record?.hypervisor);
  return member?.hypervisor.capabilities;
}

function versionsOf(
  { host }: GuestRecord,
  { fleet }: ControllerContext,
): VirtualMachineStatus["versions"] {
  const known = fleet.hosts().find(({ name }) => name === host);
  return known && { [known.hypervisor]: known.hypervisorVersion };
}

function osInfo(info: GuestAgentInfo | undefined): VirtualMachineStatus["guestOSInfo"] {
  if (info === undefined) return undefined;
  const { osName, osVersion, kernelRelease, hostName } = info;
  return {
    ...(osName !== undefined && { name: osName }),
    ...(osVersion !== undefined && { version: osVersion }),
    ...(kernelRelease !== undefined && { kernelRelease }),
    ...(hostName !== undefined && { hostName }),
  };
}

/** The present migration, or what became of the last. */
function migrationStatus({
  vm,
  record,
  now,
}: StatusInputs): VirtualMachineStatus["migrationState"] {
  const previous = vm.status?.migrationState;
  const { migration, operation } = record ?? {};
  if (migration !== undefined) {
    return {
      startTimestamp: migration.since,
      source: { node: migration.source },
      ...(migration.target !== undefined && { target: { node: migration.target } }),
    };
  }
  if (previous === undefined || previous.endTimestamp !== undefined) return previous;
  const result = operation?.outcome === "Succeeded" ? "Succeeded" : "Failed";
  return { ...previous, endTimestamp: now, result };
}

function blockDevices(
  { spec, metadata }: VirtualMachine,
  record: GuestRecord | undefined,
  { caches }: ControllerContext,
): BlockDeviceStatus[] {
  const size = ({ kind, name }: Pick<BlockDeviceStatus, "kind" | "name">): string => {
    const key = `${metadata.namespace}/${name}`;
    if (kind === "VirtualDisk") return caches.of(kind).get(key)?.status?.capacity ?? "";
    const image = kind === "VirtualImage" ? caches.of(kind).get(key) : caches.of(kind).get(name);
    return image?.status?.size?.unpacked ?? "";
  };
  const isActive = record !== undefined && record.state !== "Stopped";
  const refs = (isActive ? record.appliedSpec : undefined)?.blockDeviceRefs ?? spec.blockDeviceRefs;
  const devices = isActive ? (record.devices ?? []) : [];
  const plugged = devices.filter((device) => !refs.some((ref) => isSameDevice(ref, device)));
  return [...refs, ...plugged].map((ref) => {
    const { kind, name } = ref;
    const device = devices.find((one) => isSameDevice(one, ref));
    return {
      kind,
      name,
      attached: device?.state === "Attached" || device?.state === "Detaching",
      size: size(ref),
      ...("bootOrder" in ref && ref.bootOrder !== undefined && { bootOrder: ref.bootOrder }),
      ...(device?.hotplugged && { hotplugged: true }),
      ...(device?.attachment !== undefined && {
        virtualMachineBlockDeviceAttachmentName: device.attachment,
      }),
    };
  });
}
