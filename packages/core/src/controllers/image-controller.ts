import { type ConditionInput, mergeConditions } from "../api/conditions.ts";
import { keyOf } from "../api/meta.ts";
import type { AnyVirtualImage, ImageStatus } from "../api/virtual-image.ts";
import type { ImageInfo } from "../backend/image-store.ts";
import { condition } from "../machine/machine-conditions.ts";
import { timestamp } from "../util/clock.ts";
import { messageOf } from "../util/errors.ts";
import { formatBytes } from "../util/quantity.ts";
import type { ControllerContext, RunnableController } from "./controller-context.ts";
import { FINALIZERS, withFinalizer, withoutFinalizer } from "./finalizers.ts";
import { formatPercent, importHttpImage, type ImportProgress } from "./image-import.ts";
import { Controller } from "./runtime/controller.ts";
import { type JobState, Jobs } from "./runtime/jobs.ts";

/** The name under which the image store keeps an image. */
export function imageStoreName(image: AnyVirtualImage): string {
  const prefix = image.kind === "VirtualImage" ? "vi" : "cvi";
  return `${prefix}-${image.metadata.uid}`;
}

/** Names the disks that are being filled from an image: an index of the cache of disks. */
export const DISKS_BY_SOURCE = "source";

/** Brings images into the image store and keeps them there until they are deleted. */
export class ImageController implements RunnableController {
  readonly name: string;
  readonly #kind: AnyVirtualImage["kind"];
  readonly #context: ControllerContext;
  readonly #controller: Controller;
  readonly #jobs: Jobs<ImportProgress, ImageInfo>;

  constructor(kind: AnyVirtualImage["kind"], context: ControllerContext) {
    this.name = `${kind} controller`;
    this.#kind = kind;
    this.#context = context;
    this.#controller = new Controller({
      name: this.name,
      clock: context.clock,
      logger: context.logger,
      concurrency: 4,
      reconcile: (key) => this.#reconcile(key),
    });
    this.#jobs = new Jobs((key) => this.#controller.enqueue(key));
    context.caches.onChange(kind, ({ metadata }) => this.#controller.enqueue(keyOf(metadata)));
    context.caches.onChange("VirtualDisk", ({ spec, metadata }) => {
      const source = spec.dataSource?.objectRef;
      if (source?.kind !== kind) return;
      const { namespace } = metadata;
      const inNamespace = kind === "VirtualImage" && namespace !== undefined;
      this.#controller.enqueue(keyOf({ name: source.name, ...(inNamespace && { namespace }) }));
    });
  }

  async run(signal: AbortSignal): Promise<void> {
    await this.#controller.run(signal);
    await this.#jobs.stopAll();
  }

  async #reconcile(key: string): Promise<void> {
    const { store, imageStore } = this.#context;
    const found = this.#context.caches.of(this.#kind).get(key);
    const image = found && (await store.get(this.#kind, found.metadata));
    if (image === undefined) return this.#jobs.stop(key);
    if (image.metadata.deletionTimestamp !== undefined) return this.#delete(key, image);
    if (image.status?.phase === "Ready") return this.#jobs.stop(key);
    if (imageStore === undefined) {
      const message = "The platform has no image store: give createPlatform() an imageStore.";
      return this.#write(image, { phase: "Pending" }, [
        condition("Ready", "False", "ProvisioningNotStarted", message),
      ]);
    }
    const kept = (await withFinalizer(store, image, FINALIZERS.image)) as AnyVirtualImage;
    const { http } = kept.spec.dataSource;
    if (http === undefined)
      throw new TypeError(`${this.#kind} ${key} has no source that is known here`);
    const name = imageStoreName(kept);
    const job = await this.#jobs.ensure(key, `${name} ${JSON.stringify(http)}`, (signal, report) =>
      importHttpImage(imageStore, name, http, { clock: this.#context.clock, signal, report }),
    );
    await this.#writeJob(kept, job);
  }

  async #writeJob(image: AnyVirtualImage, job: JobState<ImportProgress, ImageInfo>): Promise<void> {
    if (job.state === "done") return this.#writeReady(image, job.result);
    if (job.state === "failed") {
      const message = `spec.dataSource.http: ${messageOf(job.error)}`;
      return this.#write(image, { phase: "Failed" }, [
        condition("Ready", "False", "ProvisioningFailed", message),
      ]);
    }
    const { percent, bytesPerSecond, problem } = job.progress ?? {};
    const progress = percent === undefined ? image.status?.progress : formatPercent(percent);
    const speed = bytesPerSecond === undefined ? undefined : Math.round(bytesPerSecond);
    await this.#write(
      image,
      {
        phase: "Provisioning",
        ...(progress !== undefined && { progress }),
        ...(speed !== undefined && {
          downloadSpeed: { current: `${formatBytes(speed)}/s`, currentBytes: String(speed) },
        }),
      },
      [condition("Ready", "False", "Provisioning", problem ?? "The image is being imported.")],
    );
  }

  #writeReady(image: AnyVirtualImage, info: ImageInfo): Promise<void> {
    const { storedBytes, virtualSizeBytes, format, cdrom } = info;
    return this.#write(
      image,
      {
        phase: "Ready",
        progress: "100%",
        format,
        cdrom,
        size: {
          stored: formatBytes(storedBytes),
          storedBytes: String(storedBytes),
          unpacked: formatBytes(virtualSizeBytes),
          unpackedBytes: String(virtualSizeBytes),
        },
        target: { registryURL: imageStoreName(image) },
      },
      [condition("Ready", "True", "Ready")],
    );
  }

  async #delete(key: string, image: AnyVirtualImage): Promise<void> {
    await this.#jobs.stop(key);
    const source = `${this.#kind}/${key}`;
    const users = this.#context.caches
      .of("VirtualDisk")
      .findBy(DISKS_BY_SOURCE, source)
      .filter(({ status }) => status?.phase === "Provisioning");
    if (users.length > 0) {
      const names = users.map(({ metadata }) => keyOf(metadata)).join(", ");
      return this.#write(image, { ...image.status, phase: "Terminating" }, [
        condition(
          "Terminating",
          "True",
          "CleanupPending",
          `Disks are being filled from the image (${names}): it goes when they are done.`,
        ),
      ]);
    }
    try {
      await this.#context.imageStore?.delete(imageStoreName(image));
    } catch (error) {
      const message = `${messageOf(error)} (trying again)`;
      await this.#write(image, { ...image.status, phase: "Terminating" }, [
        condition("Terminating", "True", "CleanupPending", message),
      ]);
      throw error;
    }
    await withoutFinalizer(this.#context.store, image, FINALIZERS.image);
  }

  async #write(
    image: AnyVirtualImage,
    status: Omit<ImageStatus, "conditions" | "observedGeneration">,
    conditions: readonly ConditionInput[],
  ): Promise<void> {
    const { generation } = image.metadata;
    const next: ImageStatus = {
      ...status,
      observedGeneration: generation,
      conditions: mergeConditions(
        image.status?.conditions,
        conditions.map((input) => ({ ...input, observedGeneration: generation })),
        timestamp(this.#context.clock),
      ),
    };
    await this.#context.store.updateStatus(this.#kind, { ...image, status: next });
  }
}
