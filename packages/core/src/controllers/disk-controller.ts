import { type ConditionInput, mergeConditions } from "../api/conditions.ts";
import type { StorageClass } from "../api/storage-class.ts";
import { keyOf } from "../api/meta.ts";
import type { VirtualDisk, VirtualDiskStatus } from "../api/virtual-disk.ts";
import type { VolumeState } from "../backend/storage.ts";
import { condition } from "../machine/machine-conditions.ts";
import { timestamp } from "../util/clock.ts";
import { messageOf } from "../util/errors.ts";
import { formatBytes } from "../util/quantity.ts";
import type { ControllerContext, RunnableController } from "./controller-context.ts";
import { type DiskSource, judgeDisk } from "./disk-plan.ts";
import { type DiskProgress, provisionDisk, volumeName } from "./disk-provisioner.ts";
import { diskUsers, MACHINES_BY_DISK } from "./disk-users.ts";
import { FINALIZERS, withFinalizer, withoutFinalizer } from "./finalizers.ts";
import { DISKS_BY_SOURCE, imageStoreName } from "./image-controller.ts";
import { formatPercent } from "./image-import.ts";
import { Controller } from "./runtime/controller.ts";
import { type JobState, Jobs } from "./runtime/jobs.ts";
import { defaultStorageClass } from "./storage-registry.ts";

type PartialStatus = Omit<VirtualDiskStatus, "conditions" | "observedGeneration">;

/** Makes the volumes behind disks, and says who uses them. */
export class DiskController implements RunnableController {
  readonly name = "VirtualDisk controller";
  readonly #context: ControllerContext;
  readonly #controller: Controller;
  readonly #jobs: Jobs<DiskProgress, VolumeState>;

  constructor(context: ControllerContext) {
    this.#context = context;
    const { caches, clock, logger } = context;
    this.#controller = new Controller({
      name: this.name,
      clock,
      logger,
      concurrency: 8,
      reconcile: (key, signal) => this.#reconcile(key, signal),
    });
    this.#jobs = new Jobs((key) => this.#controller.enqueue(key));
    const disks = caches.of("VirtualDisk");
    disks.addIndex(DISKS_BY_SOURCE, (disk) => sourceKeys(disk));
    caches
      .of("VirtualMachine")
      .addIndex(MACHINES_BY_DISK, (vm) =>
        vm.spec.blockDeviceRefs.map(({ name }) => `${vm.metadata.namespace}/${name}`),
      );
    const enqueue = ({ metadata }: VirtualDisk): void => this.#controller.enqueue(keyOf(metadata));
    caches.onChange("VirtualDisk", enqueue);
    for (const kind of ["VirtualImage", "ClusterVirtualImage"] as const) {
      caches.onChange(kind, ({ metadata }) =>
        disks.findBy(DISKS_BY_SOURCE, `${kind}/${keyOf(metadata)}`).forEach(enqueue),
      );
    }
    caches.onChange("StorageClass", () => {
      for (const disk of disks.values()) if (disk.status?.phase !== "Ready") enqueue(disk);
    });
    caches.onChange("VirtualMachine", ({ metadata, spec, status }) => {
      // A guest may have disks that its VM no longer names.
      const attached = status?.guest?.appliedSpec?.blockDeviceRefs ?? [];
      for (const { name } of [...spec.blockDeviceRefs, ...attached]) {
        this.#controller.enqueue(`${metadata.namespace}/${name}`);
      }
    });
  }

  async run(signal: AbortSignal): Promise<void> {
    await this.#controller.run(signal);
    await this.#jobs.stopAll();
  }

  async #reconcile(key: string, signal: AbortSignal): Promise<void> {
    const { store, caches } = this.#context;
    const found = caches.of("VirtualDisk").get(key);
    const disk = found && (await store.get("VirtualDisk", found.metadata));
    if (disk === undefined) return this.#jobs.stop(key);
    if (disk.metadata.deletionTimestamp !== undefined) return this.#delete(key, disk, signal);
    if (disk.status?.phase === "Ready") {
      await this.#jobs.stop(key);
      return this.#write(disk, disk.status, [condition("Ready", "True", "Ready")]);
    }
    const source = this.#source(disk);
    const storageClass = this.#storageClass(disk);
    const storage = storageClass && this.#context.storages.of(storageClass);
    const { conditions, ready } = judgeDisk(disk, source, storageClass, storage !== undefined);
    if (!ready || storageClass === undefined || storage === undefined) {
      await this.#jobs.stop(key);
      const failed = source.type === "image" && source.image?.status?.cdrom === true;
      const reason = failed ? "ProvisioningFailed" : "ProvisioningNotStarted";
      return this.#write(disk, { phase: failed ? "Failed" : "Pending" }, [
        ...conditions,
        condition("Ready", "False", reason, waitingFor(conditions)),
      ]);
    }
    const kept = await withFinalizer(store, disk, FINALIZERS.disk);
    const image = source.type === "image" ? source.image : undefined;
    const purpose = `${kept.metadata.uid} ${JSON.stringify(kept.spec)} ${image?.metadata.uid}`;
    const job = await this.#jobs.ensure(key, purpose, (abort, report) =>
      provisionDisk(
        {
          disk: kept,
          source,
          imageName: image && imageStoreName(image),
          storage,
          storageClass,
          imageStore: this.#context.imageStore,
          clock: this.#context.clock,
        },
        abort,
        report,
      ),
    );
    await this.#writeJob(kept, storageClass.metadata.name, conditions, job);
  }

  async #writeJob(
    disk: VirtualDisk,
    storageClassName: string,
    conditions: readonly ConditionInput[],
    job: JobState<DiskProgress, VolumeState>,
  ): Promise<void> {
    const target = { persistentVolumeClaimName: volumeName(disk) };
    if (job.state === "done") {
      const capacity = formatBytes(job.result.sizeBytes);
      const status = {
        phase: "Ready",
        capacity,
        progress: "100%",
        storageClassName,
        target,
      } as const;
      return this.#write(disk, status, [...conditions, condition("Ready", "True", "Ready")]);
    }
    if (job.state === "failed") {
      const failure = condition("Ready", "False", "ProvisioningFailed", messageOf(job.error));
      return this.#write(disk, { phase: "Failed", storageClassName }, [...conditions, failure]);
    }
    const { percent, problem } = job.progress ?? {};
    const progress = percent === undefined ? disk.status?.progress : formatPercent(percent);
    await this.#write(
      disk,
      {
        phase: "Provisioning",
        storageClassName,
        target,
        ...(progress !== undefined && { progress }),
      },
      [
        ...conditions,
        condition("Ready", "False", "Provisioning", problem ?? "The disk is being filled."),
      ],
    );
  }

  async #delete(key: string, disk: VirtualDisk, signal: AbortSignal): Promise<void> {
    await this.#jobs.stop(key);
    const users = await diskUsers(disk, this.#context);
    if (users.some(({ mounted }) => mounted)) {
      const names = users.map(({ name }) => `"${name}"`).join(", ");
      return this.#write(disk, { ...disk.status, phase: "Terminating" }, [
        condition(
          "Terminating",
          "True",
          "CleanupPending",
          `The disk is in use by VirtualMachine ${names}: it goes when the VM has stopped or no longer names it.`,
        ),
      ]);
    }
    try {
      // The class may be gone by now; the volume is where it was made.
      const name = volumeName(disk);
      for (const storage of this.#context.storages.all()) await storage.deleteVolume(name, signal);
      await this.#context.imageStore?.delete(name);
    } catch (error) {
      const message = `${messageOf(error)} (trying again)`;
      await this.#write(disk, { ...disk.status, phase: "Terminating" }, [
        condition("Terminating", "True", "CleanupPending", message),
      ]);
      throw error;
    }
    await withoutFinalizer(this.#context.store, disk, FINALIZERS.disk);
  }

  #source(disk: VirtualDisk): DiskSource {
    const { dataSource } = disk.spec;
    if (dataSource === undefined) return { type: "blank" };
    const ref = dataSource.objectRef;
    if (ref?.kind !== "VirtualImage" && ref?.kind !== "ClusterVirtualImage")
      return { type: "http" };
    const [key = ""] = sourceKeys(disk);
    return {
      type: "image",
      image: this.#context.caches.of(ref.kind).get(key.slice(ref.kind.length + 1)),
    };
  }

  #storageClass(disk: VirtualDisk): StorageClass | undefined {
    const classes = this.#context.caches.of("StorageClass");
    const name = disk.spec.persistentVolumeClaim?.storageClassName;
    return name === undefined ? defaultStorageClass(classes.values()) : classes.get(name);
  }

  async #write(
    disk: VirtualDisk,
    status: PartialStatus,
    conditions: readonly ConditionInput[],
  ): Promise<void> {
    const { generation } = disk.metadata;
    const users = await diskUsers(disk, this.#context);
    const inUse = users.some(({ mounted }) => mounted);
    const all = [
      ...conditions,
      condition("InUse", inUse ? "True" : "False", inUse ? "AttachedToVirtualMachine" : "NotInUse"),
    ].map((input) => ({ ...input, observedGeneration: generation }));
    const { attachedToVirtualMachines: _, ...rest } = status;
    const next: VirtualDiskStatus = {
      ...rest,
      ...(users.length > 0 && { attachedToVirtualMachines: users }),
      observedGeneration: generation,
      conditions: mergeConditions(disk.status?.conditions, all, timestamp(this.#context.clock)),
    };
    await this.#context.store.updateStatus("VirtualDisk", { ...disk, status: next });
  }
}

function sourceKeys({ spec, metadata }: VirtualDisk): string[] {
  const ref = spec.dataSource?.objectRef;
  if (ref === undefined) return [];
  const { namespace } = metadata;
  const inNamespace = ref.kind === "VirtualImage" && namespace !== undefined;
  return [`${ref.kind}/${keyOf({ name: ref.name, ...(inNamespace && { namespace }) })}`];
}

function waitingFor(conditions: readonly ConditionInput[]): string {
  return conditions.flatMap(({ status, message }) => (status === "True" ? [] : message)).join(" ");
}
