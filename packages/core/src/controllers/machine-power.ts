import { keyOf } from "../api/meta.ts";
import type { VirtualDisk } from "../api/virtual-disk.ts";
import type { GuestRecord } from "../api/virtual-machine-status.ts";
import type { VirtualMachine } from "../api/virtual-machine.ts";
import type { GuestState } from "../backend/hypervisor.ts";
import type { Storage } from "../backend/storage.ts";
import { buildGuestSpec } from "../machine/build-guest-spec.ts";
import { recordObservation } from "../machine/guest-record.ts";
import { decidePlacement } from "../machine/placement-decision.ts";
import type { PowerAction } from "../machine/power-decision.ts";
import { timestamp } from "../util/clock.ts";
import { isPolyvisorError, messageOf, PolyvisorError } from "../util/errors.ts";
import { parseQuantity } from "../util/quantity.ts";
import type { ControllerContext } from "./controller-context.ts";
import { volumeName } from "./volume-names.ts";
import { claimDisk } from "./disk-users.ts";
import { MemoryLedger } from "./memory-ledger.ts";
import type { MachineParts } from "./machine-parts.ts";

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
  readonly #memory: MemoryLedger;

  constructor(context: ControllerContext) {
    this.#context = context;
    this.#memory = new MemoryLedger(context.caches);
  }

  async carryOut(action: PowerAction, input: MachineCase): Promise<MachineOutcome> {
    const { vm, record, parts } = input;
    switch (action.type) {
      case "none":
        return { vm, record };
      case "start":
        if (action.delay > 0) {
          const seconds = Math.ceil(action.delay / 1000);
          return {
            vm,
            record,
            problem: `The guest ended soon after its start: starting it again in ${seconds} s.`,
          };
        }
        return parts?.ready ? this.#start(input, parts) : { vm, record };
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
      case "remove":
        return this.#remove(input);
    }
  }

  async #start(input: MachineCase, parts: MachineParts): Promise<MachineOutcome> {
    const { vm, record, signal } = input;
    const place = await this.#choosePlace(vm, parts, signal);
    if (place.host === undefined) return { vm, record, problem: place.message };
    try {
      return await this.#startAt(place.host, input, parts);
    } finally {
      this.#memory.cancel(vm.metadata.uid);
    }
  }

  async #startAt(host: string, input: MachineCase, parts: MachineParts): Promise<MachineOutcome> {
    const { vm, record, signal } = input;
    const former = record?.host;
    if (former !== undefined && former !== host) {
      const { hypervisor } = this.#context.fleet.memberOf(former);
      await hypervisor.removeGuest(vm.metadata.uid, { host: former }, signal);
      await this.#detach(parts.disks, former, signal);
    }
    const intent: GuestRecord = {
      incarnation: (record?.incarnation ?? 0) + 1,
      host,
      state: "Starting",
      since: timestamp(this.#context.clock),
      failures: record?.failures ?? 0,
      appliedSpec: vm.spec,
    };
    // The intent is stored before the command leaves: after a crash the start is taken up there and nowhere else.
    const status = {
      conditions: [],
      observedGeneration: vm.metadata.generation,
      ...vm.status,
      phase: "Starting",
      nodeName: host,
      guest: intent,
    } as const;
    const stored = await this.#context.store.updateStatus("VirtualMachine", { ...vm, status });
    return this.#launch({ ...input, vm: stored, record: intent }, parts);
  }

  /** Starts the recorded incarnation on the recorded host; may be repeated. */
  async #launch(input: MachineCase, parts: MachineParts): Promise<MachineOutcome> {
    const { vm, record, signal } = input;
    const { vmClass, address, userData } = parts;
    if (!record?.host || !vmClass || address?.address === undefined || !address.range) {
      throw new TypeError("a guest is launched without a host, a class or an address");
    }
    const { host, incarnation } = record;
    const member = this.#context.fleet.memberOf(host);
    let state: GuestState;
    try {
      const disks = [];
      for (const disk of parts.disks) {
        await claimDisk(this.#context.store, await this.#fresh(disk), vm);
        const source = await this.#storageOf(disk).attach(volumeName(disk), host, signal);
        disks.push({ disk, source });
      }
      const spec = buildGuestSpec({
        vm: asApplied(vm, record),
        incarnation,
        vmClass,
        disks,
        address: address.address,
        range: address.range,
        userData,
      });
      state = await member.hypervisor.startGuest(spec, { host }, signal);
    } catch (error) {
      // Only a clear no proves that nothing runs. Everything else leaves the intent as it is.
      if (!isPolyvisorError(error, "POLYVISOR_REFUSED")) throw error;
      return this.#giveUp(input, record, error);
    }
    member.learn(state);
    const next = recordObservation(
      record,
      { state: "present", guest: state },
      timestamp(this.#context.clock),
    );
    return { vm, record: next };
  }

  #giveUp({ vm }: MachineCase, record: GuestRecord, error: PolyvisorError): MachineOutcome {
    const { appliedSpec: _, ...rest } = record;
    return {
      vm,
      record: {
        ...rest,
        state: "Stopped",
        stopReason: "StartFailed",
        since: timestamp(this.#context.clock),
        failures: record.failures + 1,
      },
      problem: `The guest could not be started on host "${record.host}": ${messageOf(error)}`,
    };
  }

  async #stop(type: "shut-down" | "power-off", input: MachineCase): Promise<MachineOutcome> {
    const { vm, record, signal } = input;
    const { clock, store, fleet } = this.#context;
    if (record?.host === undefined) return { vm, record };
    const { host, incarnation } = record;
    const stopping: GuestRecord =
      record.state === "Stopping"
        ? record
        : { ...record, state: "Stopping", since: timestamp(clock) };
    const stored =
      record.state === "Stopping" || vm.status === undefined
        ? vm
        : await store.updateStatus("VirtualMachine", {
            ...vm,
            status: { ...vm.status, guest: stopping },
          });
    const mode = type === "power-off" ? "power-off" : "shutdown";
    const { uid } = vm.metadata;
    const member = fleet.memberOf(host);
    await member.hypervisor.stopGuest({ uid, incarnation }, { host }, mode, signal);
    // After a power-off the guest is known to have ended; its host's list says so the next time it is asked.
    if (mode === "power-off") await member.refresh(signal);
    const now = timestamp(clock);
    return { vm: stored, record: recordObservation(stopping, fleet.observe(uid, host), now) };
  }

  async #remove({ vm, record, signal }: MachineCase): Promise<MachineOutcome> {
    if (record?.host === undefined) return { vm, record };
    const { host, ...rest } = record;
    const member = this.#context.fleet.memberOf(host);
    await member.hypervisor.removeGuest(vm.metadata.uid, { host }, signal);
    member.learnRemoval(vm.metadata.uid, host);
    const { namespace } = vm.metadata;
    const disks = vm.spec.blockDeviceRefs.flatMap(
      ({ name }) => this.#context.caches.of("VirtualDisk").get(`${namespace}/${name}`) ?? [],
    );
    await this.#detach(disks, host, signal);
    return { vm, record: rest };
  }

  /** Asks every storage: a disk may have no volume yet, or its class may be gone by now. */
  async #detach(disks: readonly VirtualDisk[], host: string, signal: AbortSignal): Promise<void> {
    for (const disk of disks) {
      for (const storage of this.#context.storages.all()) {
        await storage.detach(volumeName(disk), host, signal);
      }
    }
  }

  async #choosePlace(
    vm: VirtualMachine,
    { vmClass, disks }: MachineParts,
    signal: AbortSignal,
  ): Promise<ReturnType<typeof decidePlacement>> {
    const { fleet } = this.#context;
    let reaching: readonly string[] | undefined;
    for (const disk of disks) {
      const volume = await this.#storageOf(disk).getVolume(volumeName(disk), signal);
      if (volume === undefined) {
        return {
          host: undefined,
          message: `The volume of VirtualDisk "${disk.metadata.name}" is gone: restore it or create another disk.`,
        };
      }
      const { hosts } = volume;
      if (hosts) reaching = reaching?.filter((name) => hosts.includes(name)) ?? hosts;
    }
    const memoryBytes = parseQuantity(vm.spec.memory.size);
    const place = decidePlacement({
      memoryBytes,
      hosts: fleet.hosts(),
      promisedBytes: this.#memory.promisedBytes,
      reachingDisks: reaching,
      selectors: [vmClass?.spec.nodeSelector ?? {}, { matchLabels: vm.spec.nodeSelector ?? {} }],
    });
    // At once: the next decision must count on it, and the cache does not show the start yet.
    if (place.host !== undefined) this.#memory.reserve(vm.metadata.uid, place.host, memoryBytes);
    return place;
  }

  async #fresh(disk: VirtualDisk): Promise<VirtualDisk> {
    const fresh = await this.#context.store.get("VirtualDisk", disk.metadata);
    if (fresh?.metadata.uid === disk.metadata.uid) return fresh;
    throw new PolyvisorError(
      "POLYVISOR_CONFLICT",
      `VirtualDisk "${keyOf(disk.metadata)}" has been replaced`,
    );
  }

  #storageOf(disk: VirtualDisk): Storage {
    const { caches, storages } = this.#context;
    const storageClass = caches.of("StorageClass").get(disk.status?.storageClassName ?? "");
    const storage = storageClass && storages.of(storageClass);
    if (storage) return storage;
    throw new PolyvisorError(
      "POLYVISOR_UNAVAILABLE",
      `StorageClass "${disk.status?.storageClassName}" of VirtualDisk "${disk.metadata.name}" is gone, so its storage cannot be found: create the class again`,
    );
  }
}

/**
 * The VM as its guest was built, while there is one: a start that is repeated asks for the same guest, and a guest keeps
 * its address until it has ended.
 */
export function asApplied(vm: VirtualMachine, record: GuestRecord | undefined): VirtualMachine {
  const active = record !== undefined && record.state !== "Stopped";
  return active && record.appliedSpec !== undefined ? { ...vm, spec: record.appliedSpec } : vm;
}
