import { keyOf } from "../api/meta.ts";
import type { GuestDevice, GuestRecord } from "../api/virtual-machine-status.ts";
import type { VirtualDisk } from "../api/virtual-disk.ts";
import type { VirtualMachine } from "../api/virtual-machine.ts";
import type { GuestState } from "../backend/hypervisor.ts";
import { buildGuestSpec } from "../machine/build-guest-spec.ts";
import { recordObservation } from "../machine/guest-record.ts";
import type { PowerAction } from "../machine/power-decision.ts";
import { timestamp } from "../util/clock.ts";
import { isPolyvisorError, messageOf, PolyvisorError } from "../util/errors.ts";
import type { ControllerContext } from "./controller-context.ts";
import { claimDisk, selectNode } from "./disk-users.ts";
import type { MachineParts } from "./machine-parts.ts";
import type { ChosenPlace, MachinePlacement } from "./machine-placement.ts";
import { type DeviceVolume, locateVolumes, type VolumeOfDevice } from "./machine-volumes.ts";
import type { VolumeAttachments } from "./volume-attachments.ts";

/** A VM, what is known of its guest, and what was found for it. */
export interface MachineCase {
  readonly vm: VirtualMachine;
  readonly record: GuestRecord | undefined;
  /** Absent while the VM is being deleted. */
  readonly parts: MachineParts | undefined;
  readonly signal: AbortSignal;
}

/** What came of an action. */
export interface MachineOutcome {
  /** The VM as it is stored now. */
  readonly vm: VirtualMachine;
  readonly record: GuestRecord | undefined;
  /** What keeps the guest from running, for a person. */
  readonly problem?: string;
}

/** Carries out what was decided about a guest. */
export class MachinePower {
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

  async carryOut(action: PowerAction, input: MachineCase): Promise<MachineOutcome> {
    const { vm, record, parts } = input;
    switch (action.type) {
      case "none":
        return { vm, record };
      case "start":
        if (action.delay > 0) {
          const seconds = Math.ceil(action.delay / 1000);
          const problem = `The guest ended soon after its start: starting it again in ${seconds} s.`;
          return { ...(await this.#release(input)), problem };
        }
        return parts?.ready ? this.#start(input, parts) : this.#release(input);
      case "continue-start":
        if (parts?.ready) return this.#launch(input, parts);
        // What the guest is made of is gone. It may run, so it is neither given up nor started: it is waited for.
        return {
          vm,
          record,
          problem: "The start cannot be completed until everything that the VM needs is there.",
        };
      case "shut-down":
      case "power-off":
        return this.#stop(action.type, input);
      case "release":
        return this.#release(input);
      case "remove":
        return this.#remove(input);
    }
  }

  async #start(input: MachineCase, parts: MachineParts): Promise<MachineOutcome> {
    const { vm, record, signal } = input;
    const { vmClass, devices } = parts;
    if (vmClass === undefined) throw new TypeError("a guest is started without a class");
    const located = await locateVolumes(devices.volumes, signal);
    if ("problem" in located) return { ...(await this.#release(input)), problem: located.problem };
    const choice = this.#placement.choose({ vm, vmClass, volumes: located.volumes });
    if (choice.place === undefined)
      return { ...(await this.#release(input)), problem: choice.message };
    try {
      const { host } = choice.place;
      if (devices.awaitingHost.length > 0) {
        // They are made where the VM will run; then a place is looked for again.
        for (const disk of devices.awaitingHost) await selectNode(this.#context.store, disk, host);
        return { vm, record };
      }
      return await this.#startAt(choice.place, located.volumes, input, parts);
    } finally {
      this.#placement.cancel(vm);
    }
  }

  async #startAt(
    { member, host }: ChosenPlace,
    volumes: readonly VolumeOfDevice[],
    input: MachineCase,
    parts: MachineParts,
  ): Promise<MachineOutcome> {
    const { vm, record, signal } = input;
    const hypervisor = member.hypervisor.name;
    const former = record?.host;
    const moves = former !== host || (record?.hypervisor ?? hypervisor) !== hypervisor;
    if (record !== undefined && former !== undefined && moves) {
      const left = this.#context.fleet.memberFor(record);
      await left.hypervisor.removeGuest(vm.metadata.uid, { host: former }, signal);
    }
    const kept = new Set(volumes.map(({ volume }) => volume));
    for (const device of record?.devices ?? []) {
      if (moves || !kept.has(device.volume))
        await this.#attachments.detach(device, former, vm, signal);
    }
    const intent: GuestRecord = {
      incarnation: (record?.incarnation ?? 0) + 1,
      ...(host !== undefined && { host }),
      hypervisor,
      state: "Starting",
      since: timestamp(this.#context.clock),
      failures: record?.failures ?? 0,
      appliedSpec: vm.spec,
      devices: volumes.map(({ kind, name, volume, shared }) => ({
        kind,
        name,
        volume,
        state: "Attached",
        shared,
      })),
      ...(record?.operation && { operation: record.operation }),
    };
    // The intent is stored before the command leaves: after a crash the start is taken up there and nowhere else.
    const { nodeName: _, ...before } = vm.status ?? {};
    const status = {
      conditions: [],
      observedGeneration: vm.metadata.generation,
      ...before,
      phase: "Starting",
      ...(host !== undefined && { nodeName: host }),
      guest: intent,
    } as const;
    const stored = await this.#context.store.updateStatus("VirtualMachine", { ...vm, status });
    return this.#launch({ ...input, vm: stored, record: intent }, parts);
  }

  /** Starts the recorded incarnation where it was sent; may be repeated. */
  async #launch(input: MachineCase, parts: MachineParts): Promise<MachineOutcome> {
    const { vm, record, signal } = input;
    const { vmClass, address, provisioning } = parts;
    if (!record || !vmClass || address?.address === undefined || !address.range) {
      throw new TypeError("a guest is launched without a record, a class or an address");
    }
    const { host, incarnation } = record;
    const { fleet, store, clock } = this.#context;
    const member = fleet.memberFor(record);
    const delegated = member.hypervisor.capabilities.placement === "delegated";
    let state: GuestState;
    try {
      const devices = [];
      for (const device of parts.devices.volumes) {
        checkSame(record.devices, device);
        if (device.disk) await claimDisk(store, await this.#fresh(device.disk), vm);
        devices.push({
          device,
          source: await this.#attachments.attach(device, host, vm.metadata.uid, signal),
        });
      }
      const spec = buildGuestSpec({
        vm: asApplied(vm, record),
        incarnation,
        vmClass,
        devices,
        address: address.address,
        range: address.range,
        ...(parts.mac !== undefined && { mac: parts.mac }),
        provisioning,
      });
      const place =
        delegated || host === undefined
          ? { within: this.#placement.constraints(asApplied(vm, record), vmClass) }
          : { host };
      state = await member.hypervisor.startGuest(spec, place, signal);
    } catch (error) {
      // Only a clear no proves that nothing runs. Everything else leaves the intent as it is.
      if (!isPolyvisorError(error, "POLYVISOR_REFUSED")) throw error;
      return this.#giveUp(input, record, error);
    }
    member.learn(state);
    const next = recordObservation(record, { state: "present", guest: state }, timestamp(clock));
    return { vm, record: next };
  }

  #giveUp({ vm }: MachineCase, record: GuestRecord, error: PolyvisorError): MachineOutcome {
    const { appliedSpec: _, ...rest } = record;
    const where = record.host === undefined ? "" : ` on host "${record.host}"`;
    return {
      vm,
      record: {
        ...rest,
        state: "Stopped",
        stopReason: "StartFailed",
        since: timestamp(this.#context.clock),
        failures: record.failures + 1,
      },
      problem: `The guest could not be started${where}: ${messageOf(error)}`,
    };
  }

  async #stop(type: "shut-down" | "power-off", input: MachineCase): Promise<MachineOutcome> {
    const { vm, record, signal } = input;
    const { clock, fleet } = this.#context;
    if (record === undefined) return { vm, record };
    const { incarnation, host } = record;
    const mode = type === "power-off" ? "power-off" : "shutdown";
    const { uid } = vm.metadata;
    const member = fleet.memberFor(record);
    const where = host === undefined ? {} : { host };
    await member.hypervisor.stopGuest({ uid, incarnation }, where, mode, signal);
    // After a power-off the guest is known to have ended; its host's list says so the next time it is asked.
    if (mode === "power-off") await member.refresh(signal);
    return { vm, record: recordObservation(record, fleet.observe(uid, record), timestamp(clock)) };
  }

  /** Lets go of what is attached for a guest that is off. */
  async #release({ vm, record, signal }: MachineCase): Promise<MachineOutcome> {
    if (record?.state !== "Stopped" || !record.devices?.length) return { vm, record };
    for (const device of record.devices)
      await this.#attachments.detach(device, record.host, vm, signal);
    const { devices: _, ...rest } = record;
    return { vm, record: rest };
  }

  async #remove(input: MachineCase): Promise<MachineOutcome> {
    const { vm, record, signal } = input;
    if (record === undefined) return { vm, record };
    const { host } = record;
    const { uid } = vm.metadata;
    const member = this.#context.fleet.memberFor(record);
    await member.hypervisor.removeGuest(uid, host === undefined ? {} : { host }, signal);
    if (host !== undefined) member.learnRemoval(uid, host);
    const released = await this.#release(input);
    if (released.record === undefined) return released;
    const { host: _, hypervisor: _name, ...rest } = released.record;
    return { vm, record: rest };
  }

  async #fresh(disk: VirtualDisk): Promise<VirtualDisk> {
    const fresh = await this.#context.store.get("VirtualDisk", disk.metadata);
    if (fresh?.metadata.uid === disk.metadata.uid) return fresh;
    throw new PolyvisorError(
      "POLYVISOR_CONFLICT",
      `VirtualDisk "${keyOf(disk.metadata)}" has been replaced`,
    );
  }
}

/** What was recorded is what is attached: another disk of the same name is another disk. */
function checkSame(
  devices: readonly GuestDevice[] | undefined,
  { volume, kind, name }: DeviceVolume,
): void {
  if (devices === undefined || devices.some((device) => device.volume === volume)) return;
  throw new PolyvisorError(
    "POLYVISOR_REFUSED",
    `${kind} "${name}" is another one than the guest was to be started with`,
  );
}

/**
 * The VM as its guest was built, while there is one: a start that is repeated asks for the same guest, and a guest keeps
 * its address until it has ended.
 */
export function asApplied(vm: VirtualMachine, record: GuestRecord | undefined): VirtualMachine {
  const active = record !== undefined && record.state !== "Stopped";
  return active && record.appliedSpec !== undefined ? { ...vm, spec: record.appliedSpec } : vm;
}
