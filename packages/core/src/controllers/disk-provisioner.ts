import type { StorageClass } from "../api/storage-class.ts";
import type { VirtualDisk } from "../api/virtual-disk.ts";
import type { ImageStore } from "../backend/image-store.ts";
import type { Storage, VolumeState } from "../backend/storage.ts";
import { type Clock, timeLimit } from "../util/clock.ts";
import { messageOf, PolyvisorError } from "../util/errors.ts";
import { throttled } from "../util/throttle.ts";
import { type DiskSource, planSize } from "./disk-plan.ts";
import { importHttpImage, PROGRESS_INTERVAL } from "./image-import.ts";
import { withRetries } from "./retry.ts";

/** How far a disk has come, and what held it up. */
export interface DiskProgress {
  /** 0 to 100. */
  readonly percent?: number;
  readonly problem?: string;
}

/** What a disk is made with. */
export interface DiskOrder {
  readonly disk: VirtualDisk;
  readonly source: DiskSource;
  /** The name in the image store, for a source that is an image. */
  readonly imageName: string | undefined;
  readonly storage: Storage;
  readonly storageClass: StorageClass;
  readonly imageStore: ImageStore | undefined;
  readonly clock: Clock;
}

/** The name of the volume behind a disk. */
export function volumeName(disk: VirtualDisk): string {
  return `vd-${disk.metadata.uid}`;
}

/**
 * Makes the volume of a disk and fills it. Every attempt starts with a new volume: what an earlier one wrote could
 * shine through the holes of the image.
 */
export async function provisionDisk(
  order: DiskOrder,
  signal: AbortSignal,
  report: (progress: DiskProgress) => void,
): Promise<VolumeState> {
  const { disk, clock } = order;
  const imageName = await fetchImage(order, signal, report);
  try {
    return await withRetries(() => makeVolume(order, imageName, signal, report), {
      clock,
      signal,
      onRetry: (error, pause) =>
        report({ problem: `${messageOf(error)} (trying again in ${pause / 1000} s)` }),
    });
  } finally {
    if (order.source.type === "http") await order.imageStore?.delete(volumeName(disk));
  }
}

/** An image of the disk's own is kept in the image store only while the disk is being filled. */
async function fetchImage(
  order: DiskOrder,
  signal: AbortSignal,
  report: (progress: DiskProgress) => void,
): Promise<string | undefined> {
  const { disk, source, imageStore, clock } = order;
  const http = disk.spec.dataSource?.http;
  if (source.type !== "http" || http === undefined) return order.imageName;
  if (imageStore === undefined) throw noImageStore();
  const info = await importHttpImage(imageStore, volumeName(disk), http, {
    clock,
    signal,
    report: ({ percent, problem }) =>
      report({
        ...(percent !== undefined && { percent: percent / 2 }),
        ...(problem !== undefined && { problem }),
      }),
  });
  if (info.cdrom) {
    await imageStore.delete(volumeName(disk));
    const message =
      "spec.dataSource.http.url is an ISO image, and a disk cannot be made of one: choose a disk image";
    throw new PolyvisorError("POLYVISOR_INVALID", message);
  }
  return volumeName(disk);
}

async function makeVolume(
  order: DiskOrder,
  imageName: string | undefined,
  signal: AbortSignal,
  report: (progress: DiskProgress) => void,
): Promise<VolumeState> {
  const { disk, storage, storageClass, imageStore, source } = order;
  const name = volumeName(disk);
  if (imageName !== undefined && imageStore === undefined) throw noImageStore();
  await using stream =
    imageName === undefined ? undefined : await imageStore?.read(imageName, { signal });
  const size = planSize(disk, stream?.sizeBytes);
  if (size.bytes === undefined) throw new PolyvisorError("POLYVISOR_INVALID", size.message);
  await storage.deleteVolume(name, signal);
  const className = storageClass.metadata.name;
  const offered = (await storage.classes(signal)).find((offer) => offer.name === className);
  const use = offered?.uses[0];
  if (use === undefined) {
    const message = `storage "${storage.name}" has no class "${className}"`;
    throw new PolyvisorError("POLYVISOR_NOT_FOUND", message);
  }
  const spec = { name, storageClass: className, sizeBytes: size.bytes, use };
  const volume = await storage.createVolume(spec, signal);
  if (stream === undefined) return volume;
  const share = source.type === "http" ? 0.5 : 1;
  const onProgress = throttled<number>(order.clock, PROGRESS_INTERVAL, (bytes) => {
    const filled = (100 * bytes) / Math.max(stream.sizeBytes, 1);
    report({ percent: (1 - share) * 100 + share * filled });
  });
  try {
    await storage.content.fill(name, stream, { signal, onProgress });
  } catch (error) {
    // Best effort: when this fails too, the next attempt or the deletion of the disk removes the volume.
    const limit = timeLimit(order.clock, 5_000);
    await storage.deleteVolume(name, limit.signal).catch(() => {});
    limit.cancel();
    throw error;
  }
  return volume;
}

function noImageStore(): PolyvisorError {
  return new PolyvisorError(
    "POLYVISOR_UNSUPPORTED",
    "the platform has no image store: give createPlatform() an imageStore",
  );
}
