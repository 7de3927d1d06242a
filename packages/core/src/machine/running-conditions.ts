import type { ConditionInput } from "../api/conditions.ts";
import type { GuestRecord, RestartAwaitingChange } from "../api/virtual-machine-status.ts";
import type { HypervisorCapabilities } from "../backend/hypervisor.ts";
import type { GuestObservation } from "./guest-record.ts";
import { condition } from "./machine-conditions.ts";

/** Why a guest cannot be migrated, with the reason of the condition `Migratable`. */
export interface MigrationObstacle {
  readonly reason: "VirtualMachineNonMigratable" | "VirtualMachineDisksNotMigratable";
  readonly message: string;
}

/** What keeps a guest from being migrated, if anything does. */
export function migrationObstacle(
  { devices = [] }: GuestRecord,
  capabilities: Pick<HypervisorCapabilities, "migration"> | undefined,
): MigrationObstacle | undefined {
  if (capabilities?.migration !== true) {
    const message = "The hypervisor cannot migrate running guests.";
    return { reason: "VirtualMachineNonMigratable", message };
  }
  const own = devices.filter(({ shared, state }) => !shared && state !== "Waiting");
  if (own.length === 0) return undefined;
  const names = own.map(({ kind, name }) => `${kind} "${name}"`).join(", ");
  return {
    reason: "VirtualMachineDisksNotMigratable",
    message: `Only one host at a time can have ${names}: use a storage class with the access mode ReadWriteMany.`,
  };
}

/** What conditions of a guest depend on. */
export interface RunningInputs {
  readonly record: GuestRecord | undefined;
  readonly observation: GuestObservation;
  /** Of the guest's hypervisor. */
  readonly capabilities: Pick<HypervisorCapabilities, "migration" | "agent"> | undefined;
  readonly awaitingRestart: readonly RestartAwaitingChange[];
  /** False for an agent that the hypervisor cannot work with. */
  readonly agentSupported: boolean;
  /** Why the guest is to leave its host. */
  readonly evictionReason: string | undefined;
  readonly maintenance: boolean;
}

/** The conditions that are about a guest which runs. Those that would only say that all is well are left out. */
export function runningConditions(inputs: RunningInputs): ConditionInput[] {
  const { record, awaitingRestart, maintenance, evictionReason } = inputs;
  const found: ConditionInput[] = [];
  if (record?.state === "Running") {
    found.push(...agentConditions(inputs), ...migrationConditions(record, inputs));
    if (evictionReason !== undefined)
      found.push(condition("EvictionRequired", "True", "EvictionRequired", evictionReason));
  }
  if (awaitingRestart.length > 0) {
    const paths = awaitingRestart.map(({ path }) => `spec.${path}`).join(", ");
    const message = `Changes of ${paths} take effect at the next start of the guest.`;
    found.push(
      condition("ConfigurationApplied", "False", "ConfigurationNotApplied", message),
      condition("AwaitingRestartToApplyConfiguration", "True", "ChangesPendingRestart", message),
    );
  }
  if (maintenance) {
    const message = "The VM is being restored: its guest is off until then.";
    found.push(condition("Maintenance", "True", "RestoreInProgress", message));
  }
  return found;
}

function agentConditions(inputs: RunningInputs): ConditionInput[] {
  const { observation, capabilities, agentSupported } = inputs;
  const guest = observation.state === "present" ? observation.guest : undefined;
  const conditions: ConditionInput[] = [];
  if (guest?.agentConnected) conditions.push(condition("AgentReady", "True", "AgentReady"));
  else {
    const message = capabilities?.agent
      ? "No guest agent answers: install and start qemu-guest-agent in the guest."
      : "The hypervisor has no way to talk to a guest agent.";
    conditions.push(condition("AgentReady", "False", "AgentNotReady", message));
  }
  if (guest?.agentConnected && !agentSupported) {
    const message = "The version of the guest agent is not supported: update it.";
    conditions.push(
      condition("AgentVersionNotSupported", "True", "AgentVersionNotSupported", message),
    );
  }
  if (guest?.frozen) conditions.push(condition("FilesystemFrozen", "True", "Frozen"));
  return conditions;
}

function migrationConditions(
  record: GuestRecord,
  { capabilities }: RunningInputs,
): ConditionInput[] {
  const obstacle = migrationObstacle(record, capabilities);
  const migratable = obstacle
    ? condition("Migratable", "False", obstacle.reason, obstacle.message)
    : condition("Migratable", "True", "VirtualMachineMigratable");
  const { migration } = record;
  if (migration === undefined) return [migratable];
  const where = migration.target === undefined ? "" : ` to ${JSON.stringify(migration.target)}`;
  const message = `From ${JSON.stringify(migration.source)}${where}.`;
  return [migratable, condition("Migrating", "True", "InProgress", message)];
}
