import { mergeConditions } from "../api/conditions.ts";
import { keyOf } from "../api/meta.ts";
import type { GuestRecord, VirtualMachineStatus } from "../api/virtual-machine-status.ts";
import type { VirtualMachine } from "../api/virtual-machine.ts";
import { recordObservation } from "../machine/guest-record.ts";
import { runningCondition, virtualMachinePhase } from "../machine/machine-conditions.ts";
import { decidePower, type PowerAction } from "../machine/power-decision.ts";
import { waitingChanges } from "../machine/waiting-changes.ts";
import { timestamp } from "../util/clock.ts";
import { isPolyvisorError, messageOf } from "../util/errors.ts";
import { jsonEquals } from "../util/json.ts";
import { MACHINES_BY_ADDRESS } from "./address-controller.ts";
import type { ControllerContext, RunnableController } from "./controller-context.ts";
import { MACHINES_BY_DISK } from "./disk-users.ts";
import { FINALIZERS, withFinalizer, withoutFinalizer } from "./finalizers.ts";
import { asApplied, type MachineOutcome, MachinePower } from "./machine-power.ts";
import { gatherMachineParts, type MachineParts, ownClaimName } from "./machine-parts.ts";
import { Controller, type ReconcileResult } from "./runtime/controller.ts";

/** Names a VM by its uid: an index of the cache of VMs. */
export const MACHINES_BY_UID = "uid";

/** How soon a guest is looked at again whose host does not answer, or that is about to start or stop. */
const RECHECK = 5_000;

/** Brings guests into the state that VMs want. */
export class MachineController implements RunnableController {
  readonly name = "VirtualMachine controller";
  readonly #context: ControllerContext;
  readonly #controller: Controller;
  readonly #power: MachinePower;

  constructor(context: ControllerContext) {
    this.#context = context;
    const { caches, fleet, clock, logger } = context;
    this.#power = new MachinePower(context);
    this.#controller = new Controller({
      name: this.name,
      clock,
      logger,
      concurrency: 16,
      reconcile: (key, signal) => this.#reconcile(key, signal),
    });
    const machines = caches.of("VirtualMachine");
    machines.addIndex(MACHINES_BY_UID, ({ metadata }) => [metadata.uid]);
    const enqueue = ({ metadata }: VirtualMachine): void =>
      this.#controller.enqueue(keyOf(metadata));
    const enqueueWaiting = (vm: VirtualMachine): void => {
      if (vm.status?.phase === "Pending" || vm.status === undefined) enqueue(vm);
    };
    caches.onChange("VirtualMachine", enqueue);
    caches.onChange("VirtualDisk", ({ metadata }) =>
      machines.findBy(MACHINES_BY_DISK, keyOf(metadata)).forEach(enqueueWaiting),
    );
    caches.onChange("VirtualMachineIPAddress", ({ metadata }) =>
      machines.findBy(MACHINES_BY_ADDRESS, keyOf(metadata)).forEach(enqueueWaiting),
    );
    for (const kind of ["VirtualMachineClass", "Secret", "ModuleConfig"] as const) {
      caches.onChange(kind, () => [...machines.values()].forEach(enqueueWaiting));
    }
    fleet.onGuest((uid) => machines.findBy(MACHINES_BY_UID, uid).forEach(enqueue));
    fleet.onHosts(() => {
      for (const vm of machines.values()) {
        if (vm.status?.phase === "Pending" || vm.status?.guest?.host !== undefined) enqueue(vm);
      }
    });
  }

  run(signal: AbortSignal): Promise<void> {
    return this.#controller.run(signal);
  }

  async #reconcile(key: string, signal: AbortSignal): Promise<ReconcileResult | void> {
    const { store, caches, fleet, clock } = this.#context;
    const found = caches.of("VirtualMachine").get(key);
    const stored = found && (await store.get("VirtualMachine", found.metadata));
    if (stored === undefined) return;
    const deleting = stored.metadata.deletionTimestamp !== undefined;
    const vm = deleting ? stored : await withFinalizer(store, stored, FINALIZERS.machine);
    const { uid } = vm.metadata;
    const before = vm.status?.guest;
    const record = recordObservation(before, fleet.observe(uid, before?.host), timestamp(clock));
    const { runPolicy, terminationGracePeriodSeconds } = vm.spec;
    const action = decidePower({
      runPolicy,
      record,
      deleting,
      terminationGracePeriodSeconds,
      now: clock.now(),
    });
    if (
      deleting &&
      action.type === "none" &&
      (record === undefined || record.state === "Stopped")
    ) {
      return withoutFinalizer(store, vm, FINALIZERS.machine);
    }
    const parts = deleting
      ? undefined
      : await gatherMachineParts(asApplied(vm, record), this.#context);
    let outcome: MachineOutcome;
    try {
      outcome = await this.#power.carryOut(action, { vm, record, parts, signal });
    } catch (error) {
      if (!signal.aborted) await this.#writeProblem(error, { vm, record }, parts, action);
      throw error;
    }
    await this.#write(outcome, parts, action);
    return { requeueAfter: recheckAfter(action, outcome) };
  }

  /** Says why an action could not be carried out. A record that the action has stored before it failed stands. */
  async #writeProblem(
    error: unknown,
    { vm: { metadata, status }, record }: Pick<MachineOutcome, "vm" | "record">,
    parts: MachineParts | undefined,
    action: PowerAction,
  ): Promise<void> {
    if (isPolyvisorError(error, "POLYVISOR_CONFLICT")) return;
    const vm = await this.#context.store.get("VirtualMachine", metadata);
    if (vm === undefined) return;
    const stored = vm.status?.guest;
    const known = jsonEquals(stored, status?.guest) ? record : stored;
    await this.#write({ vm, record: known, problem: messageOf(error) }, parts, action);
  }

  async #write(
    { vm, record, problem }: MachineOutcome,
    parts: MachineParts | undefined,
    action: PowerAction,
  ): Promise<void> {
    const { fleet, clock, store } = this.#context;
    const now = timestamp(clock);
    const { generation, uid, deletionTimestamp } = vm.metadata;
    const observation = fleet.observe(uid, record?.host);
    const phase = virtualMachinePhase({
      deleting: deletionTimestamp !== undefined,
      record,
      observation,
      startWanted: action.type === "start",
    });
    const running = runningCondition(record, observation, problem);
    const waiting = waitingChanges(vm.spec, record?.appliedSpec);
    const computed = [...(parts?.conditions ?? []), running, ...waiting];
    const conditions = mergeConditions(
      vm.status?.conditions,
      computed.map((input) => ({ ...input, observedGeneration: generation })),
      now,
    );
    const active = record !== undefined && record.state !== "Stopped";
    const applied = record?.appliedSpec ?? vm.spec;
    const address = parts?.address;
    const claimName =
      address?.claimName ?? vm.status?.virtualMachineIPAddressName ?? ownClaimName(vm);
    const ipAddress = address?.address ?? vm.status?.ipAddress;
    const status: VirtualMachineStatus = {
      phase,
      ...(active && record.host !== undefined && { nodeName: record.host }),
      virtualMachineIPAddressName: claimName,
      ...(ipAddress !== undefined && { ipAddress }),
      ...(parts && { blockDeviceRefs: blockDevices(parts, active) }),
      resources: {
        cpu: { cores: applied.cpu.cores, coreFraction: applied.cpu.coreFraction },
        memory: { size: applied.memory.size },
      },
      ...(record?.state === "Running" && { stats: { lastStartTime: record.since } }),
      ...(record && { guest: record }),
      conditions,
      observedGeneration: generation,
    };
    if (jsonEquals(status, vm.status)) return;
    await store.updateStatus("VirtualMachine", { ...vm, status });
  }
}

function blockDevices(
  { disks }: MachineParts,
  attached: boolean,
): NonNullable<VirtualMachineStatus["blockDeviceRefs"]> {
  return disks.map(({ metadata, status }) => ({
    kind: "VirtualDisk",
    name: metadata.name,
    attached,
    size: status?.capacity ?? "",
  }));
}

function recheckAfter(
  action: PowerAction,
  { record }: { record: GuestRecord | undefined },
): number {
  // Events say when something changes. This is for those that are lost, and for guests that wait for a host.
  const idle = 300_000;
  switch (action.type) {
    case "none":
      return idle;
    case "start":
      return record?.state === "Running" ? idle : Math.max(action.delay, RECHECK);
    case "shut-down":
      return Math.min(action.powerOffAfter, RECHECK);
    case "continue-start":
    case "power-off":
    case "remove":
      return record?.state === "Running" ? idle : RECHECK;
  }
}
