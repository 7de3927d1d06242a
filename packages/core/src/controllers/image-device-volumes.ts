import type { AnyVirtualImage, ImageStatus } from "../api/virtual-image.ts";
import { messageOf } from "../util/errors.ts";
import type { ControllerContext } from "./controller-context.ts";
import { imageUsers, indexImageUsers, machineImages } from "./image-users.ts";
import { Jobs } from "./runtime/jobs.ts";
import { findVolumeClass } from "./volume-class.ts";
import { fillVolume, type VolumeProgress } from "./volume-filler.ts";
import { imageStoreName } from "./volume-names.ts";

type DeviceVolume = NonNullable<ImageStatus["volume"]>;

/**
 * Gives images that VMs have as block devices a volume with their content, which hosts can attach. It is made when the
 * first VM or attachment names the image, and goes with the image.
 */
export class ImageDeviceVolumes {
  readonly #context: ControllerContext;
  readonly #jobs: Jobs<VolumeProgress, DeviceVolume>;

  constructor(context: ControllerContext, enqueue: (key: string) => void) {
    this.#context = context;
    this.#jobs = new Jobs(enqueue);
  }

  /** Looks at images again when somebody begins or ends to use them. */
  follow(kind: AnyVirtualImage["kind"], enqueue: (image: AnyVirtualImage) => void): void {
    const { caches } = this.#context;
    if (kind === "ClusterVirtualImage") indexImageUsers(caches);
    const images = caches.of(kind);
    const look = (key: string): void => {
      const image = key.startsWith(`${kind}/`) ? images.get(key.slice(kind.length + 1)) : undefined;
      if (image) enqueue(image);
    };
    caches.onChange("VirtualMachine", (vm) => machineImages(vm).forEach(look));
    caches.onChange("VirtualMachineBlockDeviceAttachment", ({ spec, metadata }) => {
      const { kind: device, name } = spec.blockDeviceRef;
      const { namespace = "" } = metadata;
      look(`${device}/${device === "ClusterVirtualImage" ? name : `${namespace}/${name}`}`);
    });
  }

  /** The volume of an image that is there, as soon as it is needed and made; or why it cannot be made. */
  async look(
    key: string,
    image: AnyVirtualImage,
  ): Promise<{ readonly volume?: DeviceVolume; readonly problem?: string }> {
    const known = image.status?.volume;
    if (known) return { volume: known };
    const onVolume = image.status?.target?.persistentVolumeClaimName;
    if (onVolume !== undefined) {
      const { storages, caches } = this.#context;
      const storage = storages.ofClass(image.status?.storageClassName, caches);
      return storage ? { volume: { storage: storage.name, name: onVolume } } : {};
    }
    if (!imageUsers(image, this.#context.caches).wanted || image.status?.phase !== "Ready") {
      return {};
    }
    const job = await this.#jobs.ensure(key, image.metadata.uid, (signal, report) =>
      this.#make(image, signal, report),
    );
    if (job.state === "done") return { volume: job.result };
    if (job.state === "running") return {};
    await this.#jobs.stop(key);
    return { problem: `The image cannot be attached: ${messageOf(job.error)}` };
  }

  async stop(key: string): Promise<void> {
    await this.#jobs.stop(key);
  }

  async stopAll(): Promise<void> {
    await this.#jobs.stopAll();
  }

  async #make(
    image: AnyVirtualImage,
    signal: AbortSignal,
    report: (progress: VolumeProgress) => void,
  ): Promise<DeviceVolume> {
    const { imageStore, clock } = this.#context;
    const wish = {
      wanted: undefined,
      section: "virtualImages",
      annotations: image.metadata.annotations,
    } as const;
    const { found, condition } = await findVolumeClass(wish, this.#context, signal);
    if (found === undefined) throw new Error(condition.message);
    const name = imageStoreName(image);
    const { storage, storageClassName, use } = found;
    await fillVolume(
      {
        volume: { name, storageClass: storageClassName, use },
        storage,
        content: { type: "stored", imageName: name, image },
        size: undefined,
        acceptIso: true,
        imageStore,
        clock,
      },
      signal,
      report,
    );
    return { storage: storage.name, name };
  }
}

/** The volume of an image for a VM that has it as a block device, or what the VM waits for. */
export function imageVolume(
  context: ControllerContext,
  kind: AnyVirtualImage["kind"],
  image: AnyVirtualImage | undefined,
):
  | { readonly volume: string; readonly storageName: string; readonly cdrom: boolean }
  | { readonly waiting: string } {
  if (image === undefined)
    return { waiting: `${kind} does not exist: create it or correct the name.` };
  const what = `${kind} ${JSON.stringify(image.metadata.name)}`;
  const { status, metadata } = image;
  if (metadata.deletionTimestamp !== undefined) {
    return { waiting: `${what} is being deleted: name another image.` };
  }
  if (status?.phase !== "Ready") {
    return { waiting: `${what} is ${status?.phase ?? "Pending"}: waiting for it to be Ready.` };
  }
  const { volume, cdrom = false } = status;
  if (volume && context.storages.find(volume.storage)) {
    return { volume: volume.name, storageName: volume.storage, cdrom };
  }
  const why = status.conditions.find(({ type }) => type === "InUse")?.message;
  return { waiting: why || `${what} is being copied to a volume: waiting for that.` };
}
