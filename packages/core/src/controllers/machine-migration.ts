import type { GuestMigration, GuestOperation, GuestRecord } from "../api/virtual-machine-status.ts";
import type { VirtualMachineClass } from "../api/virtual-machine-class.ts";
import type { VirtualMachineOperation } from "../api/virtual-machine-operation.ts";
import type { VirtualMachine } from "../api/virtual-machine.ts";
import type { GuestRef } from "../backend/guest-spec.ts";
import type { GuestState } from "../backend/hypervisor.ts";
import type { LiveMigration } from "../backend/live-migration.ts";
import type { GuestObservation } from "../machine/guest-record.ts";
import { guestDisk } from "../machine/guest-devices.ts";
import { migrationPolicy } from "../operations/migration-policy.ts";
import { timestamp } from "../util/clock.ts";
import { isPolyvisorError, messageOf } from "../util/errors.ts";
import type { ControllerContext } from "./controller-context.ts";
import { currentMigrationLimits } from "./current-settings.ts";
import { findDevice } from "./machine-block-devices.ts";
import type { RunningMachine } from "./machine-hotplug.ts";
import type { MachinePlacement } from "./machine-placement.ts";
import { asApplied } from "./machine-power.ts";
import { storeRecord } from "./machine-record.ts";
import { type DeviceVolume, locateVolumes } from "./machine-volumes.ts";
import type { VolumeAttachments } from "./volume-attachments.ts";

type Outcome = NonNullable<GuestOperation["outcome"]>;

/** Moves running guests to other hosts. */
export class MachineMigration {
  readonly #context: ControllerContext;
  readonly #placement: MachinePlacement;
  readonly #attachments: VolumeAttachments;

  constructor(
    context: ControllerContext,
    placement: MachinePlacement,
    attachments: VolumeAttachments,
  ) {
    this.#context = context;
    this.#placement = placement;
    this.#attachments = attachments;
  }

  /** Begins a migration for an operation, when there is a place for the guest. */
  async begin(
    { vm, record }: RunningMachine,
    operation: VirtualMachineOperation,
    vmClass: VirtualMachineClass,
    signal: AbortSignal,
  ): Promise<RunningMachine> {
    const { uid } = operation.metadata;
    const { clock } = this.#context;
    const cannot = (outcome: Outcome, message: string): Promise<RunningMachine> =>
      storeRecord(this.#context, vm, {
        ...record,
        operation: { uid, incarnation: record.incarnation, outcome, message },
      });
    const policy = migrationPolicy(vm.spec.liveMigrationPolicy, operation.spec.force);
    if (policy.problem !== undefined) return cannot("Failed", policy.problem);
    const devices = this.#devices(vm, record);
    if (typeof devices === "string") return cannot("Failed", devices);
    const located = await locateVolumes(devices, signal);
    if ("problem" in located) return cannot("Failed", located.problem);
    const { host } = record;
    if (host === undefined) return cannot("Failed", "it is not known where the guest runs");
    const { nodeSelector } = operation.spec.migrate ?? {};
    const choice = this.#placement.choose({
      vm: asApplied(vm, record),
      vmClass,
      volumes: located.volumes,
      leaving: host,
      ...(nodeSelector && { nodeSelector }),
      inboundLimit: currentMigrationLimits(this.#context.caches).perNode,
    });
    if (choice.place === undefined) return cannot("Waiting", choice.message);
    try {
      const target = choice.place.host;
      const migration: GuestMigration = {
        id: uid,
        source: host,
        ...(target !== undefined && { target }),
        autoConverge: policy.autoConverge,
        since: timestamp(clock),
      };
      // Stored before the command leaves: after a crash both hosts are known, and the same migration is asked for again.
      return await storeRecord(this.#context, vm, {
        ...record,
        migration,
        operation: { uid, incarnation: record.incarnation },
      });
    } finally {
      this.#placement.cancel(vm);
    }
  }

  /**
   * Goes on with the recorded migration.
   *
   * @param wanted False when its end is to be asked for.
   */
  async goOn(
    machine: RunningMachine,
    observation: GuestObservation,
    {
      wanted,
      vmClass,
    }: { readonly wanted: boolean; readonly vmClass: VirtualMachineClass | undefined },
    signal: AbortSignal,
  ): Promise<RunningMachine> {
    const { vm, record } = machine;
    const { migration } = record;
    if (migration === undefined) return machine;
    const guest = observation.state === "present" ? observation.guest : undefined;
    const over = outcomeOf(record, migration, guest, observation);
    if (over) return this.#settle(machine, migration, over, signal);
    if (guest === undefined) return machine;
    const facet = this.#facet(record);
    if (facet === undefined) return machine;
    const isKnown = guest.migration?.id === migration.id;
    const target = guest.migration?.target;
    if (isKnown && migration.target === undefined && target !== undefined) {
      const next = { ...record, migration: { ...migration, target } };
      return storeRecord(this.#context, vm, next);
    }
    if (!wanted || migration.cancelling) {
      const next = { ...record, migration: { ...migration, cancelling: true } } as const;
      const stored = await storeRecord(this.#context, vm, next);
      // One that has not been begun is begun nowhere else: asking for its end is enough.
      await facet.cancel(refOf(stored), migration.id, signal);
      if (!isKnown) {
        await this.#refresh(stored.record, signal);
        const now = this.#context.fleet.observe(vm.metadata.uid, stored.record);
        const begun = now.state === "present" && now.guest.migration?.id === migration.id;
        if (now.state === "present" && !begun && now.guest.host === migration.source)
          return this.#settle(stored, migration, { outcome: "Aborted", message: "" }, signal);
      }
      return stored;
    }
    if (isKnown) {
      // It has ended, and where the guest is now has not been told yet.
      if (guest.migration?.phase === "succeeded") await this.#refresh(record, signal);
      return machine;
    }
    return this.#launch(machine, migration, facet, vmClass, signal);
  }

  /** Asks for the migration; may be repeated. */
  async #launch(
    machine: RunningMachine,
    migration: GuestMigration,
    facet: LiveMigration,
    vmClass: VirtualMachineClass | undefined,
    signal: AbortSignal,
  ): Promise<RunningMachine> {
    const { vm, record } = machine;
    const devices = this.#devices(vm, record);
    if (typeof devices === "string" || vmClass === undefined) return machine;
    const { id, source, target, autoConverge } = migration;
    const { bytesPerSecond } = currentMigrationLimits(this.#context.caches);
    const applied = asApplied(vm, record);
    try {
      const disks = [];
      for (const device of devices) {
        const where = await this.#attachments.attach(device, target, vm.metadata.uid, signal);
        disks.push(guestDisk(device, where, applied.spec.blockDeviceRefs));
      }
      const place =
        target === undefined
          ? { within: this.#placement.constraints(applied, vmClass) }
          : { host: target };
      await facet.start(
        refOf(machine),
        {
          id,
          source,
          target: place,
          disks,
          autoConverge,
          bandwidthBytesPerSecond: bytesPerSecond,
        },
        signal,
      );
    } catch (error) {
      if (!isPolyvisorError(error, "POLYVISOR_REFUSED")) throw error;
      const over = { outcome: "Failed", message: messageOf(error) } as const;
      return this.#settle(machine, migration, over, signal);
    }
    await this.#refresh(record, signal);
    return machine;
  }

  /** Lets go of the host that the guest is not on, then takes the migration out of the record. */
  async #settle(
    { vm, record }: RunningMachine,
    migration: GuestMigration,
    { outcome, message, host = migration.source }: Ended,
    signal: AbortSignal,
  ): Promise<RunningMachine> {
    for (const left of [migration.source, migration.target]) {
      if (left === undefined || left === host) continue;
      for (const device of record.devices ?? []) {
        if (device.state !== "Waiting") await this.#attachments.detach(device, left, vm, signal);
      }
    }
    const { migration: _, ...rest } = record;
    const { incarnation } = record;
    return storeRecord(this.#context, vm, {
      ...rest,
      host,
      operation: {
        uid: migration.id,
        incarnation,
        outcome,
        ...(message !== "" && { message }),
      },
    });
  }

  #facet(record: GuestRecord): LiveMigration | undefined {
    return this.#context.fleet.memberFor(record).hypervisor.migration;
  }

  async #refresh(record: GuestRecord, signal: AbortSignal): Promise<void> {
    await this.#context.fleet.memberFor(record).refresh(signal);
  }

  /** The volumes that the guest has, or what keeps them from being found. */
  #devices(vm: VirtualMachine, { devices = [] }: GuestRecord): DeviceVolume[] | string {
    const volumes: DeviceVolume[] = [];
    for (const device of devices) {
      if (device.state === "Waiting") continue;
      const found = findDevice(vm, device, this.#context);
      if ("problem" in found) return found.problem;
      if ("volume" in found) volumes.push(found.volume);
    }
    return volumes;
  }
}

interface Ended {
  readonly outcome: Outcome;
  readonly message: string;
  /** Where the guest is now. */
  readonly host?: string;
}

/** How a migration has ended, if it has. */
function outcomeOf(
  record: GuestRecord,
  { id, source }: GuestMigration,
  guest: GuestState | undefined,
  observation: GuestObservation,
): Ended | undefined {
  const at = guest?.host === undefined ? {} : { host: guest.host };
  if (record.state === "Stopped" || observation.state === "absent")
    return { outcome: "Failed", message: "The guest ended while it was being migrated.", ...at };
  if (guest?.host !== undefined && guest.host !== source)
    return { outcome: "Succeeded", message: "", ...at };
  if (guest?.migration?.id !== id) return undefined;
  const { phase, message = "" } = guest.migration;
  switch (phase) {
    case "pending":
    case "preparing":
    case "copying":
    case "switching":
    case "succeeded":
      return undefined;
    case "failed":
      return { outcome: "Failed", message, ...at };
    case "cancelled":
      return { outcome: "Aborted", message, ...at };
  }
}

function refOf({ vm, record }: RunningMachine): GuestRef {
  return { uid: vm.metadata.uid, incarnation: record.incarnation };
}
