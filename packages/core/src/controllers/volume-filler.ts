import type {
  ImageInfo,
  ImageSource,
  ImageStore,
  UploadImageSource,
} from "../backend/image-store.ts";
import type { SparseStream } from "../backend/sparse-stream.ts";
import type { Storage, VolumeSpec, VolumeState } from "../backend/storage.ts";
import { isoMessage } from "../storage/data-source-decision.ts";
import { planSize } from "../storage/disk-size.ts";
import type { STAGES } from "../storage/import-progress.ts";
import { type Clock, timeLimit } from "../util/clock.ts";
import { messageOf, PolyvisorError } from "../util/errors.ts";
import { throttled } from "../util/throttle.ts";
import type { ContentSource } from "./content-source.ts";
import {
  importImage,
  type ImportProgress,
  noImageStore,
  PROGRESS_INTERVAL,
} from "./image-import.ts";
import { withRetries } from "./retry.ts";

/** How far a volume has come, and what held it up. */
export interface VolumeProgress extends ImportProgress {
  /** The part of the whole that `percent` is of. */
  readonly stage?: keyof typeof STAGES;
}

/** A volume that is to be made and filled. */
export interface VolumeOrder {
  /** Without the size, which may follow from the content. */
  readonly volume: Omit<VolumeSpec, "sizeBytes" | "source">;
  readonly storage: Storage;
  readonly content: ContentSource;
  /** `spec.persistentVolumeClaim.size`; absent: as large as the content. */
  readonly size: string | undefined;
  /** What somebody sends, for content of type `upload`. */
  readonly upload?: UploadImageSource;
  /** Disks are not made of ISO images. */
  readonly acceptIso: boolean;
  readonly imageStore: ImageStore | undefined;
  readonly clock: Clock;
}

/** A volume that was made, and what is known of its content. */
export interface FilledVolume {
  readonly volume: VolumeState;
  /** Of content that was imported for it. */
  readonly info?: ImageInfo;
  /** Of the content; 0 for a blank volume. */
  readonly contentBytes: number;
}

/**
 * Makes a volume and fills it. Every attempt starts with a new volume: what an earlier one wrote could shine through the
 * holes of the content. What is imported is in the image store only meanwhile, under the name of the volume.
 */
export async function fillVolume(
  order: VolumeOrder,
  signal: AbortSignal,
  report: (progress: VolumeProgress) => void,
): Promise<FilledVolume> {
  const { clock, imageStore, volume } = order;
  const source = importedSource(order);
  try {
    const info = source && (await importFirst(order, source, signal, report));
    const filled = await withRetries(() => makeVolume(order, signal, report), {
      clock,
      signal,
      onRetry: (error, pause) =>
        report({ problem: `${messageOf(error)} (trying again in ${pause / 1000} s)` }),
    });
    return { ...filled, ...(info && { info }) };
  } finally {
    if (source) await imageStore?.delete(volume.name);
  }
}

function importedSource({ content, upload }: VolumeOrder): ImageSource | undefined {
  if (content.type === "import") return content.from;
  return content.type === "upload" ? upload : undefined;
}

async function importFirst(
  { imageStore, volume, clock, acceptIso }: VolumeOrder,
  source: ImageSource,
  signal: AbortSignal,
  report: (progress: VolumeProgress) => void,
): Promise<ImageInfo> {
  if (imageStore === undefined) throw noImageStore();
  const info = await importImage(imageStore, volume.name, source, {
    clock,
    signal,
    report: (progress) => report({ ...progress, stage: "store" }),
  });
  if (info.cdrom && !acceptIso) {
    throw new PolyvisorError("POLYVISOR_INVALID", isoMessage(FIELDS[source.type]));
  }
  return info;
}

const FIELDS: Readonly<Record<ImageSource["type"], string>> = {
  http: "spec.dataSource.http.url",
  container: "spec.dataSource.containerImage.image",
  upload: "What was uploaded",
  disk: "spec.dataSource.objectRef",
};

async function makeVolume(
  order: VolumeOrder,
  signal: AbortSignal,
  report: (progress: VolumeProgress) => void,
): Promise<FilledVolume> {
  const { storage, volume, content, size } = order;
  if (isClone(order)) {
    const { sizeBytes, volume: source } = content as Extract<ContentSource, { type: "volume" }>;
    const planned = plannedBytes(planSize(size, sizeBytes, "snapshot"));
    await storage.deleteVolume(volume.name, signal);
    const made = await storage.createVolume({ ...volume, sizeBytes: planned, source }, signal);
    return { volume: made, contentBytes: sizeBytes };
  }
  await using stream = await openContent(order, signal);
  const sizeBytes = plannedBytes(planSize(size, stream?.sizeBytes));
  await storage.deleteVolume(volume.name, signal);
  const made = await storage.createVolume({ ...volume, sizeBytes }, signal);
  if (stream === undefined) return { volume: made, contentBytes: 0 };
  await fill(order, stream, signal, report);
  return { volume: made, contentBytes: stream.sizeBytes };
}

function plannedBytes(plan: ReturnType<typeof planSize>): number {
  if (plan.bytes !== undefined) return plan.bytes;
  throw new PolyvisorError("POLYVISOR_INVALID", plan.message);
}

/** True when the storage can make the volume from the content by itself. */
function isClone({ content, storage }: VolumeOrder): boolean {
  if (content.type !== "volume" || content.storage !== storage) return false;
  const { snapshots, cloning } = storage.capabilities;
  return content.volume.type === "snapshot" ? snapshots : cloning;
}

async function openContent(
  { content, imageStore, volume }: VolumeOrder,
  signal: AbortSignal,
): Promise<SparseStream | undefined> {
  switch (content.type) {
    case "blank":
      return undefined;
    case "volume":
      return content.storage.content.read(content.volume, { signal });
    case "stored":
    case "import":
    case "upload": {
      if (imageStore === undefined) throw noImageStore();
      const name = content.type === "stored" ? content.imageName : volume.name;
      return imageStore.read(name, { signal });
    }
  }
}

async function fill(
  { storage, volume: { name }, content, clock }: VolumeOrder,
  stream: SparseStream,
  signal: AbortSignal,
  report: (progress: VolumeProgress) => void,
): Promise<void> {
  const isStaged = content.type === "import" || content.type === "upload";
  const stage = isStaged ? "volume" : "only";
  const onProgress = throttled<number>(clock, PROGRESS_INTERVAL, (bytes) => {
    report({ percent: (100 * bytes) / Math.max(stream.sizeBytes, 1), stage });
  });
  try {
    await storage.content.fill(name, stream, { signal, onProgress });
  } catch (error) {
    // Best effort: when this fails too, the next attempt or the deletion of its owner removes the volume.
    const limit = timeLimit(clock, 5_000);
    await storage.deleteVolume(name, limit.signal).catch(() => {});
    limit.cancel();
    throw error;
  }
}
