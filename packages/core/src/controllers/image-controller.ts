import { type ConditionInput, mergeConditions } from "../api/conditions.ts";
import { keyOf } from "../api/meta.ts";
import type { AnyVirtualImage, ImageStatus } from "../api/virtual-image.ts";
import { condition } from "../machine/machine-conditions.ts";
import { judgeDataSource } from "../storage/data-source-decision.ts";
import { timestamp } from "../util/clock.ts";
import { messageOf } from "../util/errors.ts";
import type { ControllerContext, RunnableController } from "./controller-context.ts";
import { checkedUpload, findSource, type FoundSource } from "./content-source.ts";
import { claimDiskForImage } from "./disk-users.ts";
import { FINALIZERS, withFinalizer, withoutFinalizer } from "./finalizers.ts";
import { ImageDeviceVolumes } from "./image-device-volumes.ts";
import { makeImage, type ImageOrder } from "./image-maker.ts";
import {
  EMPTY_IMAGE,
  type ImageOutcome,
  judgeImageJob,
  judgePresence,
  type MadeImage,
  type PartialImageStatus,
} from "./image-status.ts";
import { imageKey, imageUsers } from "./image-users.ts";
import { LossWatch } from "./loss-watch.ts";
import { withRetries } from "./retry.ts";
import { Controller, type ReconcileResult } from "./runtime/controller.ts";
import { Jobs } from "./runtime/jobs.ts";
import { BY_SOURCE } from "./source-index.ts";
import { findVolumeClass, type VolumeClass } from "./volume-class.ts";
import type { VolumeProgress } from "./volume-filler.ts";
import { imageStoreName } from "./volume-names.ts";
import { endedUpload, type EndedUpload, findUpload, type UploadState } from "./upload-state.ts";

type Outcome = ImageOutcome & {
  readonly requeueAfter?: number;
  readonly endedUpload?: EndedUpload | undefined;
};

/** Brings images into the image store or onto volumes and keeps them there until they are deleted. */
export class ImageController implements RunnableController {
  readonly name: string;
  readonly #kind: AnyVirtualImage["kind"];
  readonly #context: ControllerContext;
  readonly #controller: Controller;
  readonly #jobs: Jobs<VolumeProgress, MadeImage>;
  readonly #devices: ImageDeviceVolumes;
  readonly #losses: LossWatch;

  constructor(kind: AnyVirtualImage["kind"], context: ControllerContext) {
    this.name = `${kind} controller`;
    this.#kind = kind;
    this.#context = context;
    this.#controller = new Controller({
      name: this.name,
      clock: context.clock,
      logger: context.logger,
      concurrency: 4,
      reconcile: (key, signal) => this.#reconcile(key, signal),
    });
    const enqueue = (key: string): void => this.#controller.enqueue(key);
    this.#jobs = new Jobs(enqueue);
    this.#devices = new ImageDeviceVolumes(context, enqueue);
    this.#losses = new LossWatch(context.clock);
    this.#follow();
  }

  async run(signal: AbortSignal): Promise<void> {
    await this.#controller.run(signal);
    await Promise.all([this.#jobs.stopAll(), this.#devices.stopAll()]);
  }

  #follow(): void {
    const { caches } = this.#context;
    const images = caches.of(this.#kind);
    const enqueue = ({ metadata }: AnyVirtualImage): void =>
      this.#controller.enqueue(keyOf(metadata));
    caches.onChange(this.#kind, enqueue);
    const kinds = [
      "VirtualImage",
      "ClusterVirtualImage",
      "VirtualDisk",
      "VirtualDiskSnapshot",
    ] as const;
    for (const source of kinds) {
      caches.onChange(source, ({ metadata }) =>
        images.findBy(BY_SOURCE, `${source}/${keyOf(metadata)}`).forEach(enqueue),
      );
    }
    // What is made of an image keeps it until it is done.
    for (const user of ["VirtualImage", "ClusterVirtualImage", "VirtualDisk"] as const) {
      caches.of(user).onChange((previous, next) => {
        for (const changed of [previous, next]) {
          const ref = changed?.spec.dataSource?.objectRef;
          if (ref?.kind !== this.#kind) continue;
          const namespace = ref.namespace ?? changed?.metadata.namespace;
          const inNamespace = this.#kind === "VirtualImage" && namespace !== undefined;
          this.#controller.enqueue(keyOf({ name: ref.name, ...(inNamespace && { namespace }) }));
        }
      });
    }
    for (const kind of ["Secret", "StorageClass", "ModuleConfig"] as const) {
      caches.onChange(kind, () => {
        for (const image of images.values()) if (image.status?.phase === "Pending") enqueue(image);
      });
    }
    this.#devices.follow(this.#kind, enqueue);
  }

  async #reconcile(key: string, signal: AbortSignal): Promise<ReconcileResult | void> {
    const { store } = this.#context;
    const found = this.#context.caches.of(this.#kind).get(key);
    const image = found && (await store.get(this.#kind, found.metadata));
    if (image === undefined) return this.#stop(key);
    if (image.metadata.deletionTimestamp !== undefined) return this.#delete(key, image, signal);
    const phase = image.status?.phase;
    if (phase === "Ready" || phase === "ImageLost" || phase === "PVCLost") {
      await this.#jobs.stop(key);
      return this.#keep(key, image, signal);
    }
    return this.#make(key, image, signal);
  }

  async #stop(key: string): Promise<void> {
    this.#losses.forget(key);
    await Promise.all([this.#jobs.stop(key), this.#devices.stop(key)]);
  }

  /** Brings an image about that is not there yet. */
  async #make(
    key: string,
    image: AnyVirtualImage,
    signal: AbortSignal,
  ): Promise<ReconcileResult | void> {
    const source = this.#findSource(image);
    const isFilling = image.status?.phase === "Provisioning";
    const judged = judgeDataSource({ kind: image.kind, filling: isFilling }, source.inputs);
    const wanted = await this.#volumeClass(image, signal);
    const conditions = [judged, ...(wanted ? [wanted.condition] : [])];
    const missing =
      this.#context.imageStore === undefined
        ? "The platform has no image store: give createPlatform() an imageStore."
        : conditions.flatMap(({ status, message }) => (status === "True" ? [] : message)).join(" ");
    if (missing !== "") {
      await this.#jobs.stop(key);
      const ready = condition("Ready", "False", "ProvisioningNotStarted", missing);
      return this.#write(image, { status: { phase: "Pending" }, ready }, conditions);
    }
    const kept = (await withFinalizer(
      this.#context.store,
      image,
      FINALIZERS.image,
    )) as AnyVirtualImage;
    const outcome = await this.#carryOut(key, kept, source, wanted?.found);
    await this.#write(kept, outcome, conditions);
    this.#context.uploads.settle(outcome.endedUpload);
    this.#tell(kept, outcome);
    return outcome.requeueAfter === undefined ? undefined : { requeueAfter: outcome.requeueAfter };
  }

  async #carryOut(
    key: string,
    image: AnyVirtualImage,
    source: FoundSource,
    volumeClass: VolumeClass | undefined,
  ): Promise<Outcome> {
    const { imageStore, clock } = this.#context;
    const { content } = source;
    if (imageStore === undefined || content === undefined) {
      throw new TypeError(`${imageKey(image)} is made without an image store or a source`);
    }
    const upload = content.type === "upload" ? await this.#findUpload(key, image) : undefined;
    if (upload !== undefined && upload.state !== "coming" && upload.state !== "received") {
      // A job that has failed is over with its upload.
      await this.#jobs.stop(key);
      return uploadOutcome(upload);
    }
    const order: ImageOrder = {
      image,
      content: upload?.state === "received" ? storedUpload(image) : content,
      imageStore,
      clock,
      ...(upload?.state === "coming" && { upload: checkedUpload(upload.source, content) }),
      ...(volumeClass && { volumeClass }),
    };
    const token = upload?.token ?? "";
    const purpose = `${image.metadata.uid} ${source.identity} ${JSON.stringify(image.spec)} ${token}`;
    const isNew = image.status?.phase !== "Provisioning" && !this.#jobs.has(key, purpose);
    if (content.type === "volume" && content.disk && isNew) {
      // The disk is claimed when it is known that the image wants it; so a claim that is left over can be told.
      return {
        status: { phase: "Provisioning" },
        ready: condition("Ready", "False", "Provisioning", "The image is about to be made."),
      };
    }
    const job = await this.#jobs.ensure(key, purpose, async (abort, report) => {
      const disk = content.type === "volume" ? content.disk : undefined;
      if (disk) {
        await withRetries(() => claimDiskForImage(this.#context.store, disk, image), {
          clock,
          signal: abort,
          onRetry: (error) => report({ problem: messageOf(error) }),
        });
      }
      return makeImage(order, abort, report);
    });
    const outcome = judgeImageJob(image, job, source.sourceUID);
    return {
      ...(source.inputs.type === "object" ? withKindOf(outcome, source) : outcome),
      ...(upload !== undefined && { endedUpload: endedUpload(token, job) }),
    };
  }

  #findUpload(key: string, image: AnyVirtualImage): Promise<UploadState> {
    const { imageStore, uploads, clock } = this.#context;
    if (imageStore === undefined) throw new TypeError("an upload needs an image store");
    return findUpload(
      {
        kind: image.kind,
        generation: image.metadata.generation,
        status: image.status,
        imageName: imageStoreName(image),
        notify: () => this.#controller.enqueue(key),
      },
      { imageStore, uploads, clock },
    );
  }

  /** Looks after an image that is there. */
  async #keep(key: string, image: AnyVirtualImage, signal: AbortSignal): Promise<ReconcileResult> {
    const isPresent = await this.#losses.check(key, () => this.#isPresent(image, signal));
    const outcome = judgePresence(image, isPresent ?? image.status?.phase === "Ready");
    const { volume, problem } = await this.#devices.look(key, image);
    const status: PartialImageStatus = { ...outcome.status, ...(volume && { volume }) };
    const conditions = image.status?.conditions ?? [];
    await this.#write(
      image,
      { ready: outcome.ready, status },
      conditions.filter(({ type }) => type === "DatasourceReady" || type === "StorageClassReady"),
      problem,
    );
    if (image.status?.phase !== "Ready" && outcome.status.phase === "Ready") {
      const reason = `${image.kind}LostRecovered`;
      const message = "The content of the image is there again.";
      this.#context.events.record(image, { reason, message });
    }
    return { requeueAfter: this.#losses.interval };
  }

  async #isPresent(image: AnyVirtualImage, signal: AbortSignal): Promise<boolean> {
    const { imageStore, storages, caches } = this.#context;
    const volume = image.status?.target?.persistentVolumeClaimName;
    if (volume !== undefined) {
      const storage = storages.ofClass(image.status?.storageClassName, caches);
      return storage === undefined || (await storage.getVolume(volume, signal)) !== undefined;
    }
    const name = imageStoreName(image);
    return imageStore === undefined || (await imageStore.inspect(name, { signal })) !== undefined;
  }

  async #delete(key: string, image: AnyVirtualImage, signal: AbortSignal): Promise<void> {
    await this.#stop(key);
    const problem = this.#usersOf(image);
    if (problem !== undefined) return this.#writeTerminating(image, problem);
    try {
      const name = imageStoreName(image);
      for (const storage of this.#context.storages.all()) await storage.deleteVolume(name, signal);
      await this.#context.imageStore?.delete(name);
    } catch (error) {
      await this.#writeTerminating(image, `${messageOf(error)} (trying again)`);
      throw error;
    }
    await withoutFinalizer(this.#context.store, image, FINALIZERS.image);
  }

  /** Who keeps an image from being deleted. */
  #usersOf(image: AnyVirtualImage): string | undefined {
    const { caches } = this.#context;
    const filling = (["VirtualDisk", "VirtualImage", "ClusterVirtualImage"] as const).flatMap(
      (kind) =>
        caches
          .of(kind)
          .findBy(BY_SOURCE, imageKey(image))
          .filter(({ status }) => status?.phase === "Provisioning")
          .map(({ metadata }) => `${kind} ${keyOf(metadata)}`),
    );
    if (filling.length > 0) {
      return `The image is being copied to ${filling.join(", ")}: it goes when that is done.`;
    }
    const { running } = imageUsers(image, caches);
    if (running.length === 0) return undefined;
    return `The image is in use by VirtualMachine ${running.join(", ")}: it goes when no running VM has it any more.`;
  }

  #writeTerminating(image: AnyVirtualImage, message: string): Promise<void> {
    const { conditions: _, observedGeneration: __, ...rest } = image.status ?? EMPTY_IMAGE;
    return this.#write(image, {
      status: { ...rest, phase: "Terminating" },
      ready: condition("Terminating", "True", "CleanupPending", message),
    });
  }

  #findSource(image: AnyVirtualImage): FoundSource {
    const { metadata, spec } = image;
    return findSource(
      { namespace: metadata.namespace, dataSource: spec.dataSource },
      this.#context,
    );
  }

  async #volumeClass(
    image: AnyVirtualImage,
    signal: AbortSignal,
  ): Promise<{ condition: ConditionInput; found?: VolumeClass } | undefined> {
    if (image.kind === "ClusterVirtualImage") return undefined;
    if (image.spec.storage === "ContainerRegistry") {
      return { condition: condition("StorageClassReady", "True", "DVCRTypeUsed") };
    }
    const wanted = image.spec.persistentVolumeClaim?.storageClassName;
    return findVolumeClass(
      { wanted, section: "virtualImages", annotations: image.metadata.annotations },
      this.#context,
      signal,
    );
  }

  /** Says what has happened, at transitions. */
  #tell(image: AnyVirtualImage, { status, ready }: ImageOutcome): void {
    const { events } = this.#context;
    const before = image.status;
    if (before?.phase === "Provisioning" && before.observedGeneration < image.metadata.generation) {
      events.record(image, {
        reason: "VirtualImageSpecHasBeenChanged",
        message: "Spec changes are detected: import process is restarted by controller",
      });
    }
    if (before?.phase === status.phase) return;
    const said = {
      Provisioning: ["DataSourceImportStarted", "The import has begun."],
      Ready: ["DataSourceImportCompleted", "The image is ready."],
      Failed: ["DataSourceImportFailed", ready.message],
    } as const;
    if (status.phase !== "Provisioning" && status.phase !== "Ready" && status.phase !== "Failed") {
      return;
    }
    const [reason, message] = said[status.phase];
    const type = status.phase === "Failed" ? "Warning" : "Normal";
    events.record(image, { reason, message, type });
  }

  async #write(
    image: AnyVirtualImage,
    { status, ready }: ImageOutcome,
    conditions: readonly ConditionInput[] = [],
    deviceProblem?: string,
  ): Promise<void> {
    const { caches, clock, store } = this.#context;
    const { generation } = image.metadata;
    const { running } = imageUsers(image, caches);
    const inUse = running.length > 0;
    const usedIn = [...new Set(running.map((key) => key.split("/")[0] ?? ""))];
    const { usedInNamespaces: _, ...rest } = status;
    const all = [
      ...conditions,
      ready,
      condition(
        "InUse",
        inUse ? "True" : "False",
        inUse ? "AttachedToVirtualMachine" : "NotInUse",
        deviceProblem,
      ),
    ];
    const next: ImageStatus = {
      ...rest,
      ...(image.kind === "ClusterVirtualImage" && inUse && { usedInNamespaces: usedIn }),
      observedGeneration: generation,
      conditions: mergeConditions(
        image.status?.conditions,
        all.map((input) => ({ ...input, observedGeneration: generation })),
        timestamp(clock),
      ),
    };
    await store.updateStatus(this.#kind, { ...image, status: next });
  }
}

function uploadOutcome(upload: Exclude<UploadState, { state: "coming" | "received" }>): Outcome {
  switch (upload.state) {
    case "waiting":
      return {
        status: { phase: "WaitForUserUpload", imageUploadURLs: upload.urls },
        ready: condition(
          "Ready",
          "False",
          "WaitForUserUpload",
          "Waiting for the user upload: send the file with HTTP PUT to an address in status.imageUploadURLs.",
        ),
        requeueAfter: upload.left,
      };
    case "failed":
      return {
        status: { phase: "Failed" },
        ready: condition("Ready", "False", upload.reason, upload.message),
      };
    case "unserved":
      return {
        status: { phase: "Pending" },
        ready: condition("Ready", "False", "ProvisioningNotStarted", upload.message),
      };
  }
}

function storedUpload(image: AnyVirtualImage): ImageOrder["content"] {
  return { type: "stored", imageName: imageStoreName(image), image };
}

/** A copy of an ISO image is one as well, which the bytes of its disk do not tell. */
function withKindOf(outcome: ImageOutcome, { inputs }: FoundSource): ImageOutcome {
  const isIso = inputs.type === "object" && inputs.object?.cdrom === true;
  if (!isIso || outcome.status.phase !== "Ready") return outcome;
  return { ...outcome, status: { ...outcome.status, cdrom: true, format: "iso" } };
}
