import { type ConditionInput, mergeConditions } from "../api/conditions.ts";
import { keyOf } from "../api/meta.ts";
import type { VirtualDisk, VirtualDiskStatus } from "../api/virtual-disk.ts";
import { condition } from "../machine/machine-conditions.ts";
import { isIsoSource, judgeDataSource } from "../storage/data-source-decision.ts";
import { timestamp } from "../util/clock.ts";
import { messageOf } from "../util/errors.ts";
import { checkedUpload, findSource, type FoundSource } from "./content-source.ts";
import type { ControllerContext, RunnableController } from "./controller-context.ts";
import { DiskKeeper } from "./disk-keeper.ts";
import {
  type DiskOutcome,
  EMPTY_DISK,
  judgeDiskJob,
  type PartialDiskStatus,
  uploadOutcome,
} from "./disk-status.ts";
import {
  diskUsers,
  disksOf,
  keptImageUsers,
  MACHINES_BY_DISK,
  selectedNode,
} from "./disk-users.ts";
import { FINALIZERS, withFinalizer, withoutFinalizer } from "./finalizers.ts";
import { Controller, type ReconcileResult } from "./runtime/controller.ts";
import { Jobs } from "./runtime/jobs.ts";
import { indexSnapshots, snapshotsBeingTakenOf } from "./snapshot-index.ts";
import { BY_SOURCE, indexSources } from "./source-index.ts";
import { endedUpload, type EndedUpload, findUpload, type UploadState } from "./upload-state.ts";
import { findVolumeClass, type VolumeClass } from "./volume-class.ts";
import { type FilledVolume, fillVolume, type VolumeProgress } from "./volume-filler.ts";
import { volumeName } from "./volume-names.ts";

type MadeDisk = DiskOutcome & {
  readonly requeueAfter?: number;
  readonly endedUpload?: EndedUpload | undefined;
};

/** Makes the volumes behind disks, lets them grow, and says who uses them. */
export class DiskController implements RunnableController {
  readonly name = "VirtualDisk controller";
  readonly #context: ControllerContext;
  readonly #controller: Controller;
  readonly #jobs: Jobs<VolumeProgress, FilledVolume>;
  readonly #keeper: DiskKeeper;

  constructor(context: ControllerContext) {
    this.#context = context;
    const { clock, logger } = context;
    this.#controller = new Controller({
      name: this.name,
      clock,
      logger,
      concurrency: 8,
      reconcile: (key, signal) => this.#reconcile(key, signal),
    });
    this.#jobs = new Jobs((key) => this.#controller.enqueue(key));
    this.#keeper = new DiskKeeper(context);
    this.#follow();
  }

  async run(signal: AbortSignal): Promise<void> {
    await this.#controller.run(signal);
    await this.#jobs.stopAll();
  }

  #follow(): void {
    const { caches } = this.#context;
    indexSources(caches);
    indexSnapshots(caches);
    const disks = caches.of("VirtualDisk");
    caches.of("VirtualMachine").addIndex(MACHINES_BY_DISK, disksOf);
    const enqueue = ({ metadata }: VirtualDisk): void => this.#controller.enqueue(keyOf(metadata));
    caches.onChange("VirtualDisk", enqueue);
    for (const kind of ["VirtualImage", "ClusterVirtualImage", "VirtualDiskSnapshot"] as const) {
      caches.onChange(kind, ({ metadata }) =>
        disks.findBy(BY_SOURCE, `${kind}/${keyOf(metadata)}`).forEach(enqueue),
      );
    }
    // A disk is kept from VMs while an image is made of it or a snapshot of it is taken.
    for (const kind of ["VirtualImage", "ClusterVirtualImage"] as const) {
      caches.onChange(kind, ({ spec, metadata }) => {
        const ref = spec.dataSource.objectRef;
        if (ref?.kind !== "VirtualDisk") return;
        this.#controller.enqueue(`${ref.namespace ?? metadata.namespace}/${ref.name}`);
      });
    }
    caches.onChange("VirtualDiskSnapshot", ({ spec, metadata }) =>
      this.#controller.enqueue(`${metadata.namespace}/${spec.virtualDiskName}`),
    );
    for (const kind of ["Secret", "StorageClass", "ModuleConfig"] as const) {
      caches.onChange(kind, () => {
        for (const disk of disks.values()) if (disk.status?.phase !== "Ready") enqueue(disk);
      });
    }
    caches.of("VirtualMachine").onChange((previous, next) => {
      for (const vm of [previous, next]) {
        if (vm) for (const key of disksOf(vm)) this.#controller.enqueue(key);
      }
    });
  }

  async #reconcile(key: string, signal: AbortSignal): Promise<ReconcileResult | void> {
    const { store, caches } = this.#context;
    const found = caches.of("VirtualDisk").get(key);
    const disk = found && (await store.get("VirtualDisk", found.metadata));
    if (disk === undefined) return this.#stop(key);
    if (disk.metadata.deletionTimestamp !== undefined) return this.#delete(key, disk, signal);
    const { phase } = disk.status ?? EMPTY_DISK;
    if (phase !== "Ready" && phase !== "Resizing" && phase !== "PVCLost") {
      return this.#make(key, disk, signal);
    }
    await this.#jobs.stop(key);
    const outcome = await this.#keeper.look(key, disk, signal);
    await this.#write(disk, outcome);
    return { requeueAfter: outcome.requeueAfter ?? this.#keeper.interval };
  }

  async #stop(key: string): Promise<void> {
    this.#keeper.forget(key);
    await this.#jobs.stop(key);
  }

  /** Brings a disk about that is not there yet. */
  async #make(
    key: string,
    disk: VirtualDisk,
    signal: AbortSignal,
  ): Promise<ReconcileResult | void> {
    const { metadata, spec, status } = disk;
    const source = findSource(
      { namespace: metadata.namespace, dataSource: spec.dataSource },
      this.#context,
    );
    const user = { kind: "VirtualDisk", filling: status?.phase === "Provisioning" } as const;
    const wish = {
      wanted: spec.persistentVolumeClaim?.storageClassName,
      section: "virtualDisks",
      annotations: metadata.annotations,
    } as const;
    const volumeClass = await findVolumeClass(wish, this.#context, signal);
    const { found } = volumeClass;
    const conditions = [judgeDataSource(user, source.inputs), volumeClass.condition];
    const missing =
      conditions.flatMap(({ status: ok, message }) => (ok === "True" ? [] : message)).join(" ") ||
      providerProblem(source, found);
    if (missing !== "" || found === undefined) {
      await this.#jobs.stop(key);
      const isIso = isIsoSource(user, source.inputs);
      const reason = isIso ? "ProvisioningFailed" : "ProvisioningNotStarted";
      return this.#write(disk, {
        status: { phase: isIso ? "Failed" : "Pending" },
        conditions: [...conditions, condition("Ready", "False", reason, missing)],
      });
    }
    const kept = await withFinalizer(this.#context.store, disk, FINALIZERS.disk);
    const outcome = await this.#carryOut(key, kept, source, found);
    const all = [...conditions, ...outcome.conditions];
    await this.#write(kept, { ...outcome, conditions: all });
    this.#context.uploads.settle(outcome.endedUpload);
    this.#tell(kept, outcome);
    return outcome.requeueAfter === undefined ? undefined : { requeueAfter: outcome.requeueAfter };
  }

  async #carryOut(
    key: string,
    disk: VirtualDisk,
    source: FoundSource,
    volumeClass: VolumeClass,
  ): Promise<MadeDisk> {
    const { imageStore, clock } = this.#context;
    const { content } = source;
    if (content === undefined) throw new TypeError(`disk ${key} is made without a source`);
    const { storageClassName, storage, use, bindingMode } = volumeClass;
    const host = selectedNode(disk);
    if (bindingMode === "WaitForFirstConsumer" && host === undefined) {
      await this.#jobs.stop(key);
      const message =
        "Awaiting the creation and scheduling of the VirtualMachine with the attached VirtualDisk.";
      return {
        status: { phase: "WaitForFirstConsumer", storageClassName },
        conditions: [condition("Ready", "False", "WaitingForFirstConsumer", message)],
      };
    }
    const upload = content.type === "upload" ? await this.#findUpload(key, disk) : undefined;
    if (upload !== undefined && upload.state !== "coming" && upload.state !== "received") {
      await this.#jobs.stop(key);
      return uploadOutcome(upload);
    }
    const token = upload?.token ?? "";
    const name = volumeName(disk);
    const purpose = `${disk.metadata.uid} ${source.identity} ${JSON.stringify(disk.spec)} ${token} ${host}`;
    const job = await this.#jobs.ensure(key, purpose, (abort, report) =>
      fillVolume(
        {
          volume: {
            name,
            storageClass: storageClassName,
            use,
            ...(host !== undefined && host !== "" && { host }),
          },
          storage,
          content,
          size: disk.spec.persistentVolumeClaim?.size,
          ...(upload?.state === "coming" && { upload: checkedUpload(upload.source, content) }),
          acceptIso: false,
          imageStore,
          clock,
        },
        abort,
        report,
      ),
    );
    return {
      ...judgeDiskJob(disk, job, { storageClassName, sourceUID: source.sourceUID }),
      ...(upload !== undefined && { endedUpload: endedUpload(token, job) }),
    };
  }

  async #findUpload(key: string, disk: VirtualDisk): Promise<UploadState> {
    const { imageStore, uploads, clock } = this.#context;
    if (imageStore === undefined) {
      const message = "The platform has no image store: give createPlatform() an imageStore.";
      return { state: "unserved", message };
    }
    return findUpload(
      {
        kind: disk.kind,
        generation: disk.metadata.generation,
        status: disk.status,
        imageName: volumeName(disk),
        notify: () => this.#controller.enqueue(key),
      },
      { imageStore, uploads, clock },
    );
  }

  async #delete(key: string, disk: VirtualDisk, signal: AbortSignal): Promise<void> {
    await this.#stop(key);
    const users = await diskUsers(disk, this.#context);
    const imageUsers = await keptImageUsers(disk, this.#context);
    const problem = users.some(({ mounted }) => mounted)
      ? `The disk is in use by VirtualMachine ${users.map(({ name }) => `"${name}"`).join(", ")}: it goes when the VM has stopped or no longer names it.`
      : imageUsers.length > 0
        ? "The disk is being copied to an image: it goes when that is done."
        : snapshotsBeingTakenOf(disk, this.#context.caches).length > 0
          ? "A snapshot of the disk is being taken: it goes when that is done."
          : undefined;
    if (problem !== undefined) return this.#writeTerminating(disk, problem);
    try {
      // The class may be gone by now; the volume is where it was made.
      const name = volumeName(disk);
      for (const storage of this.#context.storages.all()) await storage.deleteVolume(name, signal);
      await this.#context.imageStore?.delete(name);
    } catch (error) {
      await this.#writeTerminating(disk, `${messageOf(error)} (trying again)`);
      throw error;
    }
    await withoutFinalizer(this.#context.store, disk, FINALIZERS.disk);
  }

  #writeTerminating(disk: VirtualDisk, message: string): Promise<void> {
    const { conditions: _, observedGeneration: __, ...rest } = disk.status ?? EMPTY_DISK;
    return this.#write(disk, {
      status: { ...rest, phase: "Terminating" },
      conditions: [condition("Terminating", "True", "CleanupPending", message)],
    });
  }

  /** Says what has happened, at transitions. */
  #tell(disk: VirtualDisk, { status, conditions }: DiskOutcome): void {
    const { events } = this.#context;
    const before = disk.status;
    if (before?.phase === "Provisioning" && before.observedGeneration < disk.metadata.generation) {
      events.record(disk, {
        reason: "VirtualDiskSpecHasBeenChanged",
        message: "Spec changes are detected: import process is restarted by controller",
      });
    }
    if (before?.phase === status.phase) return;
    if (status.phase === "Provisioning") {
      events.record(disk, {
        reason: "DataSourceImportStarted",
        message: "The disk is being made.",
      });
    } else if (status.phase === "Ready") {
      events.record(disk, { reason: "DataSourceImportCompleted", message: "The disk is ready." });
    } else if (status.phase === "Failed") {
      const message = conditions.find(({ type }) => type === "Ready")?.message ?? "";
      events.record(disk, { reason: "DataSourceImportFailed", message, type: "Warning" });
    }
  }

  async #write(
    disk: VirtualDisk,
    { status, conditions }: { status: PartialDiskStatus; conditions: readonly ConditionInput[] },
  ): Promise<void> {
    const { generation } = disk.metadata;
    const users = await diskUsers(disk, this.#context);
    const imageUsers = await keptImageUsers(disk, this.#context);
    const snapshotting = snapshotsBeingTakenOf(disk, this.#context.caches);
    const mounted = users.some((user) => user.mounted);
    const [inUse, reason] = mounted
      ? (["True", "AttachedToVirtualMachine"] as const)
      : imageUsers.length > 0
        ? (["True", "UsedForImageCreation"] as const)
        : (["False", "NotInUse"] as const);
    const all = [
      ...conditions,
      condition("InUse", inUse, reason),
      ...(snapshotting.length > 0 ? [condition("Snapshotting", "True", "Snapshotting")] : []),
    ].map((input) => ({ ...input, observedGeneration: generation }));
    const { attachedToVirtualMachines: _, imageUsers: __, ...rest } = status;
    const next: VirtualDiskStatus = {
      ...rest,
      ...(users.length > 0 && { attachedToVirtualMachines: users }),
      ...(imageUsers.length > 0 && { imageUsers }),
      observedGeneration: generation,
      conditions: mergeConditions(disk.status?.conditions, all, timestamp(this.#context.clock)),
    };
    await this.#context.store.updateStatus("VirtualDisk", { ...disk, status: next });
  }
}

/** Why content that one storage keeps cannot be brought to another; empty when that is not asked for. */
function providerProblem({ content }: FoundSource, volumeClass: VolumeClass | undefined): string {
  if (content === undefined)
    return "The source of the disk is on a storage that the platform does not have: add it.";
  if (content.type !== "volume" || volumeClass === undefined) return "";
  if (content.storage === volumeClass.storage) return "";
  return `spec.persistentVolumeClaim.storageClassName: StorageClass "${volumeClass.storageClassName}" is of provisioner "${volumeClass.storage.name}", and the source is kept by "${content.storage.name}": choose a class of that provisioner.`;
}
