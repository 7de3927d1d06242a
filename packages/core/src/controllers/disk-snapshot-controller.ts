import { mergeConditions } from "../api/conditions.ts";
import { keyOf } from "../api/meta.ts";
import type {
  FrozenGuest,
  VirtualDiskSnapshot,
  VirtualDiskSnapshotStatus,
} from "../api/virtual-disk-snapshot.ts";
import type { VirtualDisk } from "../api/virtual-disk.ts";
import { condition } from "../machine/machine-conditions.ts";
import { decideConsistency } from "../snapshots/snapshot-consistency.ts";
import { timestamp } from "../util/clock.ts";
import { jsonEquals } from "../util/json.ts";
import type { ControllerContext, RunnableController } from "./controller-context.ts";
import { diskProblem, DISK_SNAPSHOT_SOURCE } from "./disk-snapshot-source.ts";
import { diskUsers } from "./disk-users.ts";
import { FINALIZERS, withFinalizer, withoutFinalizer } from "./finalizers.ts";
import { LossWatch } from "./loss-watch.ts";
import { Controller, type ReconcileResult } from "./runtime/controller.ts";
import { type JobState, Jobs } from "./runtime/jobs.ts";
import type { KeyedMutex } from "./runtime/keyed-mutex.ts";
import { findGuest, type FoundGuest, thawGuest } from "./snapshot-guest.ts";
import { failureOf, type SnapshotOutcome, tellSnapshot } from "./snapshot-status.ts";
import { takeSnapshots, type TakenSnapshots } from "./snapshot-taker.ts";
import { snapshotVolumeName } from "./volume-names.ts";

/** How soon a guest that could not be let go is tried again, in milliseconds. */
const THAW_AGAIN = 5_000;

/** Takes snapshots of disks, and keeps them until they are deleted. */
export class DiskSnapshotController implements RunnableController {
  readonly name = "VirtualDiskSnapshot controller";
  readonly #context: ControllerContext;
  readonly #controller: Controller;
  readonly #jobs: Jobs<never, TakenSnapshots>;
  readonly #losses: LossWatch;
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
    this.#losses = new LossWatch(clock);
    const snapshots = caches.of("VirtualDiskSnapshot");
    caches.onChange("VirtualDiskSnapshot", ({ metadata }) =>
      this.#controller.enqueue(keyOf(metadata)),
    );
    const wake = (): void => this.#waiting.forEach((key) => this.#controller.enqueue(key));
    caches.onChange("VirtualDisk", ({ metadata }) =>
      snapshots
        .findBy(DISK_SNAPSHOT_SOURCE, keyOf(metadata))
        .forEach((snapshot) => this.#controller.enqueue(keyOf(snapshot.metadata))),
    );
    context.fleet.onGuest(wake);
    context.fleet.onHosts(wake);
  }

  async run(signal: AbortSignal): Promise<void> {
    await this.#controller.run(signal);
    await this.#jobs.stopAll();
  }

  async #reconcile(key: string, signal: AbortSignal): Promise<ReconcileResult | void> {
    const { store, caches } = this.#context;
    const found = caches.of("VirtualDiskSnapshot").get(key);
    const snapshot = found && (await store.get("VirtualDiskSnapshot", found.metadata));
    if (snapshot === undefined) return this.#stop(key);
    if (snapshot.metadata.deletionTimestamp !== undefined) {
      return this.#delete(key, snapshot, signal);
    }
    const { phase } = snapshot.status ?? {};
    this.#waiting.delete(key);
    if (phase === "Ready") return this.#keep(key, snapshot, signal);
    // A snapshot of a machine takes those of its disks itself.
    if (phase === "Failed" || isOfMachine(snapshot)) return this.#stop(key);
    this.#waiting.add(key);
    return this.#take(key, snapshot, signal);
  }

  async #stop(key: string): Promise<void> {
    this.#losses.forget(key);
    this.#waiting.delete(key);
    await this.#jobs.stop(key);
  }

  async #take(
    key: string,
    snapshot: VirtualDiskSnapshot,
    signal: AbortSignal,
  ): Promise<ReconcileResult | void> {
    const { caches } = this.#context;
    const { spec, metadata } = snapshot;
    const disk = caches.of("VirtualDisk").get(`${metadata.namespace}/${spec.virtualDiskName}`);
    const running = snapshot.status?.phase === "InProgress";
    const problem = diskProblem(disk, spec.virtualDiskName);
    if (!running && (disk === undefined || problem !== undefined)) {
      return this.#write(snapshot, {
        phase: "Pending",
        diskReady: problem ?? "",
        reason: "WaitingForTheVirtualDisk",
        message: problem ?? "",
      });
    }
    const guest = disk && (await this.#guestOf(disk));
    const { requiredConsistency } = spec;
    const decision = decideConsistency({ kind: snapshot.kind, requiredConsistency, guest });
    if (!running && decision.action === "wait") {
      const { message } = decision;
      return this.#write(snapshot, {
        phase: "Pending",
        reason: "WaitingForTheVirtualDisk",
        message,
      });
    }
    if (!running && decision.action === "fail") {
      const { message } = decision;
      return this.#write(snapshot, { phase: "Failed", reason: "PotentiallyInconsistent", message });
    }
    const kept = await withFinalizer(this.#context.store, snapshot, FINALIZERS.diskSnapshot);
    if (!running || disk === undefined) {
      // What may be frozen is stored before it is.
      const freeze = decision.action === "take" && decision.freeze ? guest?.running : undefined;
      return this.#write(kept, {
        phase: "InProgress",
        reason: freeze ? "FileSystemFreezing" : "Snapshotting",
        message: "The snapshot is being taken.",
        ...(freeze && { frozenGuest: freeze }),
      });
    }
    const job = await this.#jobs.ensure(key, metadata.uid, (abort) =>
      this.#work(kept, disk, guest, abort),
    );
    return this.#writeJob(kept, disk, job, signal);
  }

  async #work(
    snapshot: VirtualDiskSnapshot,
    disk: VirtualDisk,
    guest: FoundGuest | undefined,
    signal: AbortSignal,
  ): Promise<TakenSnapshots> {
    const { storages, caches } = this.#context;
    const storage = storages.ofClass(disk.status?.storageClassName, caches);
    if (storage === undefined) {
      throw new Error(
        `StorageClass "${disk.status?.storageClassName}" of the disk is gone: create it again`,
      );
    }
    const { frozenGuest } = snapshot.status ?? {};
    // A guest that has ended since needs not be frozen, and another run of it was not meant.
    const freeze = jsonEquals(guest?.running, frozenGuest) ? frozenGuest : undefined;
    return takeSnapshots(
      {
        kind: snapshot.kind,
        items: [{ disk, storage, name: snapshotVolumeName(snapshot) }],
        requiredConsistency: snapshot.spec.requiredConsistency,
        guest,
        freeze,
        isUnchanged: async () => jsonEquals(await this.#guestOf(disk), guest),
      },
      this.#context,
      this.#gate,
      signal,
    );
  }

  async #writeJob(
    snapshot: VirtualDiskSnapshot,
    disk: VirtualDisk,
    job: JobState<never, TakenSnapshots>,
    signal: AbortSignal,
  ): Promise<ReconcileResult | void> {
    signal.throwIfAborted();
    if (job.state === "running") return;
    if (
      !(await this.#thaw(snapshot.status?.frozenGuest, job.state === "done" && job.result.thawed))
    ) {
      await this.#write(snapshot, {
        phase: "InProgress",
        reason: "FileSystemUnfreezing",
        message: "The guest cannot be reached to let its file systems go on: trying again.",
        ...(snapshot.status?.frozenGuest && { frozenGuest: snapshot.status.frozenGuest }),
      });
      return { requeueAfter: THAW_AGAIN };
    }
    if (job.state === "failed") return this.#write(snapshot, failureOf(job.error, snapshot.kind));
    const [state] = job.result.states;
    const storage = this.#context.storages.ofClass(state?.storageClass, this.#context.caches);
    await this.#write(snapshot, {
      phase: "Ready",
      reason: "VirtualDiskSnapshotReady",
      message: "",
      taken: {
        volumeSnapshotName: snapshotVolumeName(snapshot),
        ...(storage && { storage: storage.name }),
        ...(state && { sizeBytes: state.sizeBytes, storageClassName: state.storageClass }),
        ...(job.result.consistent && { consistent: true }),
      },
      ...(disk.status?.phase === "Ready" && { diskReady: "" }),
    });
  }

  async #thaw(frozen: FrozenGuest | undefined, isDone: boolean): Promise<boolean> {
    return frozen === undefined || isDone || thawGuest(frozen, this.#context);
  }

  /** The guest that uses a disk. Of a disk that nobody holds, none. */
  async #guestOf(disk: VirtualDisk): Promise<FoundGuest | undefined> {
    const { store, caches } = this.#context;
    const { namespace = "" } = disk.metadata;
    const fresh = (await store.get("VirtualDisk", disk.metadata)) ?? disk;
    const holder = (await diskUsers(fresh, { store, caches })).find(({ mounted }) => mounted)?.name;
    if (holder === undefined) return undefined;
    const vm = await store.get("VirtualMachine", { name: holder, namespace });
    return vm && findGuest(vm, this.#context);
  }

  async #keep(
    key: string,
    snapshot: VirtualDiskSnapshot,
    signal: AbortSignal,
  ): Promise<ReconcileResult> {
    await this.#jobs.stop(key);
    const storage = this.#context.storages.find(snapshot.status?.storage);
    const name = snapshotVolumeName(snapshot);
    const isThere = await this.#losses.check(
      key,
      async () =>
        storage?.snapshots === undefined ||
        (await storage.snapshots.get(name, signal)) !== undefined,
    );
    if (isThere === false) {
      const message = `The snapshot "${name}" is gone from its storage: delete the VirtualDiskSnapshot and take another.`;
      await this.#write(snapshot, { phase: "Failed", reason: "Lost", message });
    }
    return { requeueAfter: this.#losses.interval };
  }

  async #delete(
    key: string,
    snapshot: VirtualDiskSnapshot,
    signal: AbortSignal,
  ): Promise<ReconcileResult | void> {
    await this.#stop(key);
    const { caches, storages, store } = this.#context;
    const filling = (["VirtualDisk", "VirtualImage", "ClusterVirtualImage"] as const).flatMap(
      (kind) =>
        caches
          .of(kind)
          .findBy("source", `${snapshot.kind}/${key}`)
          .filter(({ status }) => status?.phase === "Provisioning"),
    );
    const [user] = filling;
    const waiting = user
      ? `${user.kind} "${keyOf(user.metadata)}" is being made of the snapshot: it goes when that is done.`
      : (await this.#thaw(snapshot.status?.frozenGuest, false))
        ? undefined
        : "The guest cannot be reached to let its file systems go on: trying again.";
    if (waiting !== undefined) {
      await this.#write(snapshot, {
        phase: "Terminating",
        reason: "FileSystemUnfreezing",
        message: waiting,
        ...(snapshot.status?.frozenGuest && { frozenGuest: snapshot.status.frozenGuest }),
      });
      return { requeueAfter: THAW_AGAIN };
    }
    const name = snapshotVolumeName(snapshot);
    for (const { snapshots } of storages.all()) await snapshots?.delete(name, signal);
    await withoutFinalizer(store, snapshot, FINALIZERS.diskSnapshot);
  }

  async #write(snapshot: VirtualDiskSnapshot, outcome: SnapshotOutcome): Promise<void> {
    const { clock, store } = this.#context;
    const { generation } = snapshot.metadata;
    const { phase, reason, message, diskReady, frozenGuest, taken } = outcome;
    const kept = snapshot.status?.volumeSnapshotName !== undefined && phase !== "InProgress";
    const { volumeSnapshotName, storage, sizeBytes, storageClassName, consistent } =
      snapshot.status ?? {};
    const known = kept
      ? {
          volumeSnapshotName,
          ...(storage !== undefined && { storage }),
          ...(sizeBytes !== undefined && { sizeBytes }),
          ...(storageClassName !== undefined && { storageClassName }),
          ...(consistent === true && { consistent }),
        }
      : {};
    const isReady = phase === "Ready" || (phase === "Terminating" && kept);
    const waits = diskReady !== undefined && diskReady !== "";
    const next: VirtualDiskSnapshotStatus = {
      phase,
      ...known,
      ...taken,
      ...(frozenGuest && { frozenGuest }),
      observedGeneration: generation,
      conditions: mergeConditions(
        snapshot.status?.conditions,
        [
          waits
            ? condition(
                "VirtualDiskReady",
                "False",
                "VirtualDiskNotReadyForSnapshotting",
                diskReady,
              )
            : condition("VirtualDiskReady", "True", "VirtualDiskReady"),
          condition("VirtualDiskSnapshotReady", isReady ? "True" : "False", reason, message),
        ].map((input) => ({ ...input, observedGeneration: generation })),
        timestamp(clock),
      ),
    } as VirtualDiskSnapshotStatus;
    await store.updateStatus("VirtualDiskSnapshot", { ...snapshot, status: next });
    tellSnapshot(this.#context.events, snapshot, snapshot.status?.phase, outcome);
  }
}

/** True for the snapshot of a disk that belongs to one of a machine. */
function isOfMachine({ metadata }: VirtualDiskSnapshot): boolean {
  return metadata.ownerReferences?.some(({ kind }) => kind === "VirtualMachineSnapshot") === true;
}
