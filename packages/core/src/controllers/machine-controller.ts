import { keyOf } from "../api/meta.ts";
import type { GuestRecord } from "../api/virtual-machine-status.ts";
import type { VirtualMachine } from "../api/virtual-machine.ts";
import { type ConfigurationChange, planChanges } from "../machine/configuration-changes.ts";
import { type GuestObservation, recordObservation } from "../machine/guest-record.ts";
import { decidePower, type PowerAction } from "../machine/power-decision.ts";
import { recordIntent } from "../machine/power-intent.ts";
import { timestamp } from "../util/clock.ts";
import { isPolyvisorError, messageOf } from "../util/errors.ts";
import { jsonEquals } from "../util/json.ts";
import { MACHINES_BY_ADDRESS } from "./ip-address-sort.ts";
import { MACHINES_BY_MAC } from "./mac-address-sort.ts";
import { CapacityLedger } from "./capacity-ledger.ts";
import type { ControllerContext, RunnableController } from "./controller-context.ts";
import { MACHINES_BY_DISK } from "./disk-users.ts";
import { FINALIZERS, withFinalizer, withoutFinalizer } from "./finalizers.ts";
import { MachineAgents } from "./machine-agents.ts";
import {
  ATTACHMENTS_BY_DEVICE,
  attachmentWishes,
  deviceKey,
  indexAttachments,
} from "./machine-attachments.ts";
import { changesOf, machineEviction } from "./machine-changes.ts";
import { MachineHotplug } from "./machine-hotplug.ts";
import { MachineMigration } from "./machine-migration.ts";
import {
  currentOperations,
  type MachineOperations,
  OPERATIONS_BY_MACHINE,
} from "./machine-operations.ts";
import { gatherMachineParts, indexMachineSnapshots, type MachineParts } from "./machine-parts.ts";
import { MachinePlacement } from "./machine-placement.ts";
import { asApplied, type MachineOutcome, MachinePower } from "./machine-power.ts";
import { storeRecord } from "./machine-record.ts";
import { machineStatus } from "./machine-status.ts";
import { VolumeAttachments } from "./volume-attachments.ts";
import { Controller, type ReconcileResult } from "./runtime/controller.ts";

/** Names a VM by its uid: an index of the cache of VMs. */
export const MACHINES_BY_UID = "uid";

/** How soon a guest is looked at again whose host does not answer, or that is about to start, stop or move. */
const RECHECK = 5_000;

/** How soon a guest is looked at again that is as it should be. Events say when something changes. */
const IDLE = 300_000;

/** What is known and wanted at one look at a VM. */
interface Look {
  readonly parts: MachineParts | undefined;
  readonly operations: MachineOperations;
  readonly changes: readonly ConfigurationChange[];
  readonly action: PowerAction;
  readonly signal: AbortSignal;
}

/** Brings guests into the state that VMs want. */
export class MachineController implements RunnableController {
  readonly name = "VirtualMachine controller";
  readonly #context: ControllerContext;
  readonly #controller: Controller;
  readonly #power: MachinePower;
  readonly #migration: MachineMigration;
  readonly #hotplug: MachineHotplug;
  readonly #agents: MachineAgents;

  constructor(context: ControllerContext) {
    this.#context = context;
    const { caches, clock, logger } = context;
    const placement = new MachinePlacement(context, new CapacityLedger(caches));
    const attachments = new VolumeAttachments(context);
    this.#power = new MachinePower(context, placement, attachments);
    this.#migration = new MachineMigration(context, placement, attachments);
    this.#hotplug = new MachineHotplug(context, attachments);
    this.#agents = new MachineAgents(context);
    this.#controller = new Controller({
      name: this.name,
      clock,
      logger,
      concurrency: 16,
      reconcile: (key, signal) => this.#reconcile(key, signal),
    });
    this.#followResources();
  }

  run(signal: AbortSignal): Promise<void> {
    return this.#controller.run(signal);
  }

  #followResources(): void {
    const { caches, fleet } = this.#context;
    const machines = caches.of("VirtualMachine");
    machines.addIndex(MACHINES_BY_UID, ({ metadata }) => [metadata.uid]);
    const enqueue = ({ metadata }: VirtualMachine): void =>
      this.#controller.enqueue(keyOf(metadata));
    const isWaiting = ({ status }: VirtualMachine): boolean =>
      status === undefined ||
      status.phase === "Pending" ||
      status.guest?.devices?.some(({ state }) => state === "Waiting") === true;
    const enqueueWaiting = (vm: VirtualMachine): void => {
      if (isWaiting(vm)) enqueue(vm);
    };
    indexAttachments(this.#context);
    indexMachineSnapshots(this.#context);
    caches.onChange("VirtualMachineSnapshot", ({ metadata, spec }) =>
      this.#controller.enqueue(`${metadata.namespace}/${spec.virtualMachineName}`),
    );
    const attachments = caches.of("VirtualMachineBlockDeviceAttachment");
    const ofAttachments = (kind: string, key: string): void => {
      for (const { metadata, spec } of attachments.findBy(
        ATTACHMENTS_BY_DEVICE,
        deviceKey(kind, key),
      ))
        this.#controller.enqueue(`${metadata.namespace}/${spec.virtualMachineName}`);
    };
    caches.onChange("VirtualMachine", enqueue);
    caches.onChange("VirtualDisk", ({ metadata }) => {
      machines.findBy(MACHINES_BY_DISK, keyOf(metadata)).forEach(enqueue);
      ofAttachments("VirtualDisk", keyOf(metadata));
    });
    caches.onChange("VirtualMachineIPAddress", ({ metadata }) =>
      machines.findBy(MACHINES_BY_ADDRESS, keyOf(metadata)).forEach(enqueueWaiting),
    );
    caches.onChange("VirtualMachineMACAddress", ({ metadata }) =>
      machines.findBy(MACHINES_BY_MAC, keyOf(metadata)).forEach(enqueueWaiting),
    );
    for (const kind of ["Secret", "ModuleConfig"] as const) {
      caches.onChange(kind, () => [...machines.values()].forEach(enqueueWaiting));
    }
    for (const kind of ["VirtualImage", "ClusterVirtualImage"] as const) {
      caches.onChange(kind, ({ metadata, status }) => {
        if (status?.volume === undefined) return;
        ofAttachments(kind, keyOf(metadata));
        [...machines.values()].forEach(enqueueWaiting);
      });
    }
    caches.onChange("VirtualMachineClass", ({ metadata }) => {
      for (const vm of machines.values())
        if (vm.spec.virtualMachineClassName === metadata.name) enqueue(vm);
    });
    caches.onChange("Node", ({ metadata }) => {
      for (const vm of machines.values())
        if (isWaiting(vm) || vm.status?.nodeName === metadata.name) enqueue(vm);
    });
    const operations = caches.of("VirtualMachineOperation");
    operations.addIndex(OPERATIONS_BY_MACHINE, ({ metadata, spec }) => [
      `${metadata.namespace}/${spec.virtualMachineName}`,
    ]);
    for (const kind of [
      "VirtualMachineOperation",
      "VirtualMachineBlockDeviceAttachment",
    ] as const) {
      caches.onChange(kind, ({ metadata, spec }) =>
        this.#controller.enqueue(`${metadata.namespace}/${spec.virtualMachineName}`),
      );
    }
    fleet.onGuest((uid) => machines.findBy(MACHINES_BY_UID, uid).forEach(enqueue));
    fleet.onHosts(() => {
      for (const vm of machines.values()) {
        if (isWaiting(vm) || vm.status?.guest?.host !== undefined) enqueue(vm);
      }
    });
  }

  async #reconcile(key: string, signal: AbortSignal): Promise<ReconcileResult | void> {
    const { store, caches } = this.#context;
    const found = caches.of("VirtualMachine").get(key);
    const stored = found && (await store.get("VirtualMachine", found.metadata));
    if (stored === undefined) return;
    const deleting = stored.metadata.deletionTimestamp !== undefined;
    const vm = deleting ? stored : await withFinalizer(store, stored, FINALIZERS.machine);
    const observed = await this.#observed(vm, signal);
    const look = await this.#look(vm, observed, deleting, signal);
    const isOff = look.record === undefined || look.record.state === "Stopped";
    if (deleting && look.action.type === "none" && isOff && look.record?.migration === undefined) {
      return withoutFinalizer(store, vm, FINALIZERS.machine);
    }
    let outcome: MachineOutcome;
    try {
      // What is wanted is stored before anything is done for it.
      const intended =
        look.record === undefined || look.record === observed
          ? { vm, record: look.record }
          : await storeRecord(this.#context, vm, look.record);
      outcome = await this.#carryOut(intended, look);
    } catch (error) {
      if (!signal.aborted) await this.#writeProblem(error, { vm, record: observed }, look);
      throw error;
    }
    await this.#write(outcome, look);
    return { requeueAfter: recheckAfter(look.action, outcome) };
  }

  /** The record as far as what is observed says more. */
  async #observed(vm: VirtualMachine, signal: AbortSignal): Promise<GuestRecord | undefined> {
    const { fleet, clock } = this.#context;
    const before = vm.status?.guest;
    const { uid } = vm.metadata;
    const now = timestamp(clock);
    const record = recordObservation(before, fleet.observe(uid, before), now);
    if (before?.migration === undefined || record?.state !== "Stopped") return record;
    // Between two hosts an event may tell half of the truth; a list tells all of it.
    await fleet.memberFor(before).refresh(signal);
    return recordObservation(before, fleet.observe(uid, before), now);
  }

  /** Gathers, and decides. */
  async #look(
    vm: VirtualMachine,
    observed: GuestRecord | undefined,
    deleting: boolean,
    signal: AbortSignal,
  ): Promise<Look & { readonly record: GuestRecord | undefined }> {
    const { clock } = this.#context;
    const parts = deleting
      ? undefined
      : await gatherMachineParts(asApplied(vm, observed), this.#context);
    const operations = await currentOperations(vm, this.#context);
    const changes = changesOf(vm, observed, parts?.vmClass, this.#context);
    const { awaitingRestart } = planChanges(changes);
    const { runPolicy, disruptions } = vm.spec;
    const { power: request, maintenance } = operations;
    const isBusy = request !== undefined || operations.migration !== undefined;
    const record = recordIntent(observed, {
      runPolicy,
      deleting,
      maintenance,
      restartForChanges:
        disruptions.restartApprovalMode === "Automatic" &&
        awaitingRestart.length > 0 &&
        !isBusy &&
        observed?.migration === undefined,
      request,
      now: timestamp(clock),
    });
    const applied = (record?.state === "Stopped" ? undefined : record?.appliedSpec) ?? vm.spec;
    const action = decidePower({
      runPolicy,
      record,
      deleting,
      maintenance,
      terminationGracePeriodSeconds: applied.terminationGracePeriodSeconds,
      now: clock.now(),
    });
    return { record, parts, operations, changes, action, signal };
  }

  async #carryOut(
    { vm, record }: { readonly vm: VirtualMachine; readonly record: GuestRecord | undefined },
    look: Look,
  ): Promise<MachineOutcome> {
    const { parts, operations, action, signal, changes } = look;
    if (record?.migration !== undefined) {
      const wanted =
        record.state === "Running" && operations.migration?.metadata.uid === record.migration.id;
      const vmClass = parts?.vmClass;
      const machine = { vm, record };
      return this.#migration.goOn(machine, this.#observe(vm, record), { wanted, vmClass }, signal);
    }
    if (record?.state !== "Running" || action.type !== "none")
      return this.#power.carryOut(action, { vm, record, parts, signal });
    const { migration } = operations;
    const isNew = migration !== undefined && !isSettled(record, migration.metadata.uid);
    if (isNew && parts?.vmClass && this.#observe(vm, record).state === "present") {
      const begun = await this.#migration.begin({ vm, record }, migration, parts.vmClass, signal);
      if (begun.record.migration === undefined) return begun;
      const vmClass = parts.vmClass;
      const observation = this.#observe(begun.vm, begun.record);
      return this.#migration.goOn(begun, observation, { wanted: true, vmClass }, signal);
    }
    return this.#applyChanges({ vm, record }, changes, signal);
  }

  /** Brings changes to the running guest that need no restart. */
  async #applyChanges(
    machine: { readonly vm: VirtualMachine; readonly record: GuestRecord },
    changes: readonly ConfigurationChange[],
    signal: AbortSignal,
  ): Promise<MachineOutcome> {
    const { record, vm } = machine;
    const applied = record.appliedSpec;
    if (applied === undefined || this.#observe(vm, record).state !== "present") return machine;
    const mayApply = changes.every(({ action }) => action === "Immediate");
    const refs = mayApply ? vm.spec.blockDeviceRefs : applied.blockDeviceRefs;
    const attachments = attachmentWishes(vm, this.#context);
    const brought = await this.#hotplug.bring(machine, { refs, attachments }, signal);
    if (!mayApply) return brought;
    const has = brought.record.devices?.filter(({ state }) => state !== "Waiting") ?? [];
    const blockDeviceRefs = vm.spec.blockDeviceRefs.filter(({ kind, name }) =>
      has.some((device) => device.kind === kind && device.name === name),
    );
    const going = applied.blockDeviceRefs.filter(
      ({ kind, name }) =>
        !vm.spec.blockDeviceRefs.some((ref) => ref.kind === kind && ref.name === name) &&
        has.some((device) => device.kind === kind && device.name === name),
    );
    const appliedSpec = { ...vm.spec, blockDeviceRefs: [...blockDeviceRefs, ...going] };
    if (changes.length === 0 || jsonEquals(appliedSpec, applied)) return brought;
    return storeRecord(this.#context, brought.vm, { ...brought.record, appliedSpec });
  }

  #observe(vm: VirtualMachine, record: GuestRecord | undefined): GuestObservation {
    return this.#context.fleet.observe(vm.metadata.uid, record);
  }

  /** Says why an action could not be carried out. A record that the action has stored before it failed stands. */
  async #writeProblem(
    error: unknown,
    { vm: { metadata, status }, record }: Pick<MachineOutcome, "vm" | "record">,
    look: Look,
  ): Promise<void> {
    if (isPolyvisorError(error, "POLYVISOR_CONFLICT")) return;
    const vm = await this.#context.store.get("VirtualMachine", metadata);
    if (vm === undefined) return;
    const stored = vm.status?.guest;
    const known = jsonEquals(stored, status?.guest) ? record : stored;
    await this.#write({ vm, record: known, problem: messageOf(error) }, look);
  }

  async #write({ vm, record, problem }: MachineOutcome, look: Look): Promise<void> {
    const { clock, store } = this.#context;
    const observation = this.#observe(vm, record);
    const { parts, operations, action, signal } = look;
    const changes = changesOf(vm, record, parts?.vmClass, this.#context);
    const { awaitingRestart } = planChanges(changes);
    const status = machineStatus(
      {
        vm,
        record,
        observation,
        parts,
        startWanted: action.type === "start",
        problem,
        awaitingRestart,
        evictionReason: machineEviction(vm, record, parts?.vmClass, this.#context)?.message,
        maintenance: operations.maintenance,
        agentInfo: await this.#agents.infoOf(vm.metadata.uid, record, observation, signal),
        now: timestamp(clock),
      },
      this.#context,
    );
    if (jsonEquals(status, vm.status)) return;
    await store.updateStatus("VirtualMachine", { ...vm, status });
  }
}

/** True for a migration that is over: it is carried out once. */
function isSettled({ operation }: GuestRecord, uid: string): boolean {
  return (
    operation?.uid === uid && operation.outcome !== undefined && operation.outcome !== "Waiting"
  );
}

function recheckAfter(
  action: PowerAction,
  { record }: { readonly record: GuestRecord | undefined },
): number {
  if (record?.migration !== undefined || record?.operation?.outcome === "Waiting") return RECHECK;
  // Events say when something changes. This is for those that are lost, and for guests that wait for a host.
  switch (action.type) {
    case "none":
    case "release":
      return IDLE;
    case "start":
      return record?.state === "Running" ? IDLE : Math.max(action.delay, RECHECK);
    case "shut-down":
      return Math.min(action.powerOffAfter, RECHECK);
    case "continue-start":
    case "power-off":
    case "remove":
      return record?.state === "Running" ? IDLE : RECHECK;
  }
}
