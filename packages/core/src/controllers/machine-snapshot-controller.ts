import { mergeConditions } from "../api/conditions.ts";
import { GROUP, keyOf, V1ALPHA2 } from "../api/meta.ts";
import type { VirtualDisk } from "../api/virtual-disk.ts";
import type { VirtualMachine } from "../api/virtual-machine.ts";
import type {
  VirtualMachineSnapshot,
  VirtualMachineSnapshotStatus,
} from "../api/virtual-machine-snapshot.ts";
import { condition } from "../machine/machine-conditions.ts";
import { decodeContent, encodeContent } from "../snapshots/machine-snapshot-content.ts";
import { decideConsistency } from "../snapshots/snapshot-consistency.ts";
import { timestamp } from "../util/clock.ts";
import { isPolyvisorError } from "../util/errors.ts";
import { jsonEquals } from "../util/json.ts";
import type { ControllerContext, RunnableController } from "./controller-context.ts";
import { diskProblem } from "./disk-snapshot-source.ts";
import { FINALIZERS, withFinalizer, withoutFinalizer } from "./finalizers.ts";
import {
  coveredResources,
  diskSnapshotName,
  disksOf,
  gatherContent,
  machineKeyOf,
} from "./machine-content.ts";
import { Controller, type ReconcileResult } from "./runtime/controller.ts";
import { type JobState, Jobs } from "./runtime/jobs.ts";
import type { KeyedMutex } from "./runtime/keyed-mutex.ts";
import { findGuest, thawGuest } from "./snapshot-guest.ts";
import { failureOf, type SnapshotOutcome, tellSnapshot } from "./snapshot-status.ts";
import { type SnapshotItem, takeSnapshots, type TakenSnapshots } from "./snapshot-taker.ts";
import { snapshotVolumeName } from "./volume-names.ts";

/** How soon a guest that could not be let go is tried again, in milliseconds. */
const THAW_AGAIN = 5_000;

type MachineSnapshotOutcome = Omit<SnapshotOutcome, "taken" | "diskReady"> & {
  /** Why a snapshot of the machine cannot be taken now. */
  readonly machineProblem?: string;
  readonly consistent?: boolean;
};

/** Takes snapshots of machines: what was wanted of them, and of all their disks at one moment. */
export class MachineSnapshotController implements RunnableController {
  readonly name = "VirtualMachineSnapshot controller";
  readonly #context: ControllerContext;
  readonly #controller: Controller;
  readonly #jobs: Jobs<never, TakenSnapshots>;
  readonly #gate: KeyedMutex;
  /** Snapshots that are not taken yet. */
  readonly #waiting = new Set<string>();

  /** @param gate Keeps guests from being frozen for two snapshots at a time. */
  constructor(context: ControllerContext, gate: KeyedMutex) {
    this.#context = context;
    this.#gate = gate;
    const { caches, clock, logger } = context;
    this.#controller = new Controller({
      name: this.name,
      clock,
      logger,
      concurrency: 4,
      reconcile: (key, signal) => this.#reconcile(key, signal),
    });
    this.#jobs = new Jobs((key) => this.#controller.enqueue(key));
    const wake = (): void => this.#waiting.forEach((key) => this.#controller.enqueue(key));
    caches.onChange("VirtualMachineSnapshot", ({ metadata }) =>
      this.#controller.enqueue(keyOf(metadata)),
    );
    caches.onChange("VirtualMachine", wake);
    caches.onChange("VirtualDisk", wake);
    context.fleet.onGuest(wake);
    context.fleet.onHosts(wake);
    caches.onChange("VirtualDiskSnapshot", ({ metadata }) => {
      const owner = metadata.ownerReferences?.find(({ kind }) => kind === "VirtualMachineSnapshot");
      if (owner) this.#controller.enqueue(`${metadata.namespace}/${owner.name}`);
    });
  }

  async run(signal: AbortSignal): Promise<void> {
    await this.#controller.run(signal);
    await this.#jobs.stopAll();
  }

  async #reconcile(key: string, signal: AbortSignal): Promise<ReconcileResult | void> {
    const { store, caches } = this.#context;
    const found = caches.of("VirtualMachineSnapshot").get(key);
    const snapshot = found && (await store.get("VirtualMachineSnapshot", found.metadata));
    this.#waiting.delete(key);
    if (snapshot === undefined) return this.#jobs.stop(key);
    if (snapshot.metadata.deletionTimestamp !== undefined) return this.#delete(key, snapshot);
    const { phase } = snapshot.status ?? {};
    if (phase === "Failed") return this.#jobs.stop(key);
    if (phase === "Ready") return this.#keep(key, snapshot);
    this.#waiting.add(key);
    return phase === "InProgress" ? this.#take(key, snapshot, signal) : this.#prepare(snapshot);
  }

  /** Waits for the machine to be ready for it, and stores what is about to be done. */
  async #prepare(snapshot: VirtualMachineSnapshot): Promise<void> {
    const { caches } = this.#context;
    const vm = caches.of("VirtualMachine").get(machineKeyOf(snapshot));
    const machineProblem = this.#problemOf(snapshot, vm);
    if (vm === undefined || machineProblem !== undefined) {
      return this.#write(snapshot, {
        phase: "Pending",
        reason: "WaitingForTheVirtualMachine",
        message: machineProblem ?? "",
        ...(machineProblem !== undefined && { machineProblem }),
      });
    }
    const { names, disks } = disksOf(vm, this.#context);
    const namespace = vm.metadata.namespace;
    const problems = names.flatMap(
      (name) => diskProblem(caches.of("VirtualDisk").get(`${namespace}/${name}`), name) ?? [],
    );
    if (problems.length > 0) {
      const message = problems.join(" ");
      return this.#write(snapshot, { phase: "Pending", reason: "BlockDevicesNotReady", message });
    }
    const guest = findGuest(vm, this.#context);
    const { requiredConsistency } = snapshot.spec;
    const decision = decideConsistency({ kind: snapshot.kind, requiredConsistency, guest });
    if (decision.action !== "take") {
      const waits = decision.action === "wait";
      return this.#write(snapshot, {
        phase: waits ? "Pending" : "Failed",
        reason: waits ? "WaitingForTheVirtualMachine" : "PotentiallyInconsistent",
        message: decision.message,
      });
    }
    const { store } = this.#context;
    const kept = await withFinalizer(store, snapshot, FINALIZERS.machineSnapshot);
    await this.#keepContent(kept, vm, disks);
    const freeze = decision.freeze ? guest.running : undefined;
    return this.#write(kept, {
      phase: "InProgress",
      reason: freeze ? "FileSystemFreezing" : "Snapshotting",
      message: "The snapshot is being taken.",
      ...(freeze && { frozenGuest: freeze }),
    });
  }

  #problemOf({ spec }: VirtualMachineSnapshot, vm: VirtualMachine | undefined): string | undefined {
    const what = `VirtualMachine ${JSON.stringify(spec.virtualMachineName)}`;
    if (vm === undefined) return `${what} does not exist: create it or correct the name.`;
    if (vm.metadata.deletionTimestamp !== undefined) return `${what} is being deleted.`;
    const phase = vm.status?.phase ?? "Pending";
    if (phase === "Running" || phase === "Stopped") return undefined;
    return `${what} is ${phase}: waiting for it to be Running or Stopped.`;
  }

  /** Stores what was wanted of the machine, in a secret since it may hold secrets. What is there already stands. */
  async #keepContent(
    snapshot: VirtualMachineSnapshot,
    vm: VirtualMachine,
    disks: readonly VirtualDisk[],
  ): Promise<void> {
    const { metadata, apiVersion, kind } = snapshot;
    const { name, uid, namespace = "" } = metadata;
    const data = encodeContent(gatherContent(snapshot, vm, disks, this.#context));
    const ownerReferences = [{ apiVersion, kind, name, uid }];
    try {
      await this.#context.store.create("Secret", {
        apiVersion: "v1",
        kind: "Secret",
        metadata: { name: secretName(snapshot), namespace, ownerReferences },
        type: `virtualmachine.${GROUP}/snapshot`,
        data,
      });
    } catch (error) {
      if (!isPolyvisorError(error, "POLYVISOR_ALREADY_EXISTS")) throw error;
    }
  }

  async #take(
    key: string,
    snapshot: VirtualMachineSnapshot,
    signal: AbortSignal,
  ): Promise<ReconcileResult | void> {
    const job = await this.#jobs.ensure(key, snapshot.metadata.uid, (abort) =>
      this.#work(snapshot, abort),
    );
    signal.throwIfAborted();
    if (job.state === "running") return;
    const { frozenGuest } = snapshot.status ?? {};
    const isThawed =
      frozenGuest === undefined ||
      (job.state === "done" && job.result.thawed) ||
      (await thawGuest(frozenGuest, this.#context));
    if (!isThawed) {
      await this.#write(snapshot, {
        phase: "InProgress",
        reason: "FileSystemUnfreezing",
        message: "The guest cannot be reached to let its file systems go on: trying again.",
        frozenGuest,
      });
      return { requeueAfter: THAW_AGAIN };
    }
    await this.#writeJob(snapshot, job);
  }

  async #work(snapshot: VirtualMachineSnapshot, signal: AbortSignal): Promise<TakenSnapshots> {
    const { store, caches } = this.#context;
    const { namespace = "" } = snapshot.metadata;
    const content = await this.#contentOf(snapshot);
    if (content === undefined) throw new Error(damaged(snapshot));
    const where = { namespace, name: snapshot.spec.virtualMachineName };
    const vm = await store.get("VirtualMachine", where);
    if (vm === undefined) throw new Error(`VirtualMachine "${where.name}" is gone`);
    const guest = findGuest(vm, this.#context);
    const items: SnapshotItem[] = [];
    for (const { name } of content.virtualDisks) {
      const disk = caches.of("VirtualDisk").get(`${namespace}/${name}`);
      const storage = this.#context.storages.ofClass(disk?.status?.storageClassName, caches);
      if (disk === undefined || storage === undefined) {
        throw new Error(`VirtualDisk "${name}" is gone, or its StorageClass is`);
      }
      const made = await this.#makeDiskSnapshot(snapshot, name);
      items.push({ disk, storage, name: snapshotVolumeName(made) });
    }
    const { frozenGuest } = snapshot.status ?? {};
    const freeze = jsonEquals(guest.running, frozenGuest) ? frozenGuest : undefined;
    return takeSnapshots(
      {
        kind: snapshot.kind,
        items,
        requiredConsistency: snapshot.spec.requiredConsistency,
        guest,
        freeze,
        isUnchanged: async () => {
          const fresh = await store.get("VirtualMachine", where);
          return fresh !== undefined && jsonEquals(findGuest(fresh, this.#context), guest);
        },
      },
      this.#context,
      this.#gate,
      signal,
    );
  }

  async #makeDiskSnapshot(
    snapshot: VirtualMachineSnapshot,
    disk: string,
  ): Promise<{ readonly metadata: VirtualMachineSnapshot["metadata"] }> {
    const { store } = this.#context;
    const { name, uid, namespace = "" } = snapshot.metadata;
    const where = { namespace, name: diskSnapshotName(disk, snapshot) };
    const known = await store.get("VirtualDiskSnapshot", where);
    if (known) return known;
    const { apiVersion, kind, spec } = snapshot;
    return store.create("VirtualDiskSnapshot", {
      apiVersion: V1ALPHA2,
      kind: "VirtualDiskSnapshot",
      metadata: {
        ...where,
        finalizers: [FINALIZERS.diskSnapshot],
        ownerReferences: [{ apiVersion, kind, name, uid }],
      },
      spec: { virtualDiskName: disk, requiredConsistency: spec.requiredConsistency },
    });
  }

  async #writeJob(
    snapshot: VirtualMachineSnapshot,
    job: Exclude<JobState<never, TakenSnapshots>, { state: "running" }>,
  ): Promise<void> {
    if (job.state === "failed") {
      await this.#failDiskSnapshots(snapshot);
      return this.#write(snapshot, failureOf(job.error, snapshot.kind));
    }
    const { consistent, states } = job.result;
    for (const name of diskNames(await this.#contentOf(snapshot))) {
      await this.#writeDiskSnapshot(snapshot, name, { consistent, states });
    }
    await this.#write(snapshot, {
      phase: "Ready",
      reason: "VirtualMachineSnapshotReady",
      message: "",
      ...(consistent && { consistent }),
    });
  }

  /** What a snapshot of the machine has taken of a disk is a snapshot of the disk like any other. */
  async #writeDiskSnapshot(
    snapshot: VirtualMachineSnapshot,
    disk: string,
    { consistent, states }: Pick<TakenSnapshots, "consistent" | "states">,
  ): Promise<void> {
    const { store, storages, caches, clock } = this.#context;
    const { namespace = "" } = snapshot.metadata;
    const where = { namespace, name: diskSnapshotName(disk, snapshot) };
    const made = await store.get("VirtualDiskSnapshot", where);
    const state = made && states.find(({ name }) => name === snapshotVolumeName(made));
    if (made === undefined || state === undefined || made.status?.phase === "Ready") return;
    const storage = storages.ofClass(state.storageClass, caches);
    const { sizeBytes, storageClass, name } = state;
    await store.updateStatus("VirtualDiskSnapshot", {
      ...made,
      status: {
        phase: "Ready",
        volumeSnapshotName: name,
        ...(storage && { storage: storage.name }),
        sizeBytes,
        storageClassName: storageClass,
        ...(consistent && { consistent }),
        observedGeneration: made.metadata.generation,
        conditions: mergeConditions(
          made.status?.conditions,
          [
            condition("VirtualDiskReady", "True", "VirtualDiskReady"),
            condition("VirtualDiskSnapshotReady", "True", "VirtualDiskSnapshotReady"),
          ],
          timestamp(clock),
        ),
      },
    });
  }

  async #failDiskSnapshots(snapshot: VirtualMachineSnapshot): Promise<void> {
    const { store } = this.#context;
    const { namespace = "" } = snapshot.metadata;
    for (const disk of diskNames(await this.#contentOf(snapshot))) {
      const where = { namespace, name: diskSnapshotName(disk, snapshot) };
      if (await store.get("VirtualDiskSnapshot", where)) {
        await store.delete("VirtualDiskSnapshot", where);
      }
    }
  }

  /** Notices when a snapshot of a disk is gone without which the whole is of no use. */
  async #keep(key: string, snapshot: VirtualMachineSnapshot): Promise<void> {
    await this.#jobs.stop(key);
    const { namespace } = snapshot.metadata;
    const cache = this.#context.caches.of("VirtualDiskSnapshot");
    const lost = (snapshot.status?.virtualDiskSnapshotNames ?? []).filter((name) => {
      const found = cache.get(`${namespace}/${name}`);
      return found === undefined || found.status?.phase === "Failed";
    });
    if (lost.length === 0) return;
    const message = `VirtualDiskSnapshot ${lost.join(", ")} is lost: delete the VirtualMachineSnapshot and take another.`;
    await this.#write(snapshot, { phase: "Failed", reason: "VirtualDiskSnapshotLost", message });
  }

  async #delete(key: string, snapshot: VirtualMachineSnapshot): Promise<ReconcileResult | void> {
    await this.#jobs.stop(key);
    const { frozenGuest } = snapshot.status ?? {};
    if (frozenGuest && !(await thawGuest(frozenGuest, this.#context))) {
      const message = "The guest cannot be reached to let its file systems go on: trying again.";
      await this.#write(snapshot, {
        phase: "Terminating",
        reason: "FileSystemUnfreezing",
        message,
        frozenGuest,
      });
      return { requeueAfter: THAW_AGAIN };
    }
    // Its secret and the snapshots of the disks belong to it, and go with it.
    await withoutFinalizer(this.#context.store, snapshot, FINALIZERS.machineSnapshot);
  }

  async #contentOf(snapshot: VirtualMachineSnapshot): Promise<ReturnType<typeof decodeContent>> {
    const { namespace = "" } = snapshot.metadata;
    const where = { namespace, name: secretName(snapshot) };
    const secret = await this.#context.store.get("Secret", where);
    return secret && decodeContent(secret.data);
  }

  async #write(snapshot: VirtualMachineSnapshot, outcome: MachineSnapshotOutcome): Promise<void> {
    const { clock, store, events } = this.#context;
    const { generation } = snapshot.metadata;
    const { phase, reason, message, machineProblem, frozenGuest, consistent } = outcome;
    const content = phase === "Pending" ? undefined : await this.#contentOf(snapshot);
    const isConsistent = consistent ?? (phase !== "InProgress" && snapshot.status?.consistent);
    const next: VirtualMachineSnapshotStatus = {
      phase,
      ...(isConsistent === true && { consistent: isConsistent }),
      ...(content && {
        virtualMachineSnapshotSecretName: secretName(snapshot),
        virtualDiskSnapshotNames: content.virtualDisks.map(({ snapshotName }) => snapshotName),
        resources: coveredResources(content),
      }),
      ...(frozenGuest && { frozenGuest }),
      observedGeneration: generation,
      conditions: mergeConditions(
        snapshot.status?.conditions,
        [
          machineProblem === undefined
            ? condition("VirtualMachineReady", "True", "VirtualMachineReady")
            : condition(
                "VirtualMachineReady",
                "False",
                "VirtualMachineNotReadyForSnapshotting",
                machineProblem,
              ),
          condition(
            "VirtualMachineSnapshotReady",
            phase === "Ready" ? "True" : "False",
            reason,
            message,
          ),
        ].map((input) => ({ ...input, observedGeneration: generation })),
        timestamp(clock),
      ),
    };
    await store.updateStatus("VirtualMachineSnapshot", { ...snapshot, status: next });
    tellSnapshot(events, snapshot, snapshot.status?.phase, outcome);
  }
}

/** The secret that keeps what was wanted of the machine. */
export function secretName({ metadata }: VirtualMachineSnapshot): string {
  return `vms-${metadata.uid}`;
}

function diskNames(content: ReturnType<typeof decodeContent>): string[] {
  return content?.virtualDisks.map(({ name }) => name) ?? [];
}

function damaged(snapshot: VirtualMachineSnapshot): string {
  return `Secret "${secretName(snapshot)}" of the snapshot is gone or was changed: delete the VirtualMachineSnapshot and take another`;
}
