import { decodeBlock } from "../disk/block-decoder.ts";
import type { CompressedSegment } from "../disk/disk-segment.ts";
import { ImageError } from "../image-error.ts";
import type { RandomAccessReader } from "../io/random-access-reader.ts";
import { CompressedStarts } from "./compressed-starts.ts";
import { HostClusterMap } from "./host-cluster-map.ts";
import type { Qcow2Header } from "./qcow2-header.ts";
import { claimSnapshots } from "./qcow2-snapshots.ts";
import { l2CoverageBytes, readL1Entry, readL2Table } from "./qcow2-l2-table.ts";

const MAX_CUT_CLUSTERS = 64 * 1024;

/** What a complete structural check of a qcow2 image found. */
export interface Qcow2CheckReport {
  /** Bytes of the disk that are backed by data in the file; zero clusters do not count. */
  readonly allocatedBytes: number;
  readonly compressedClusters: number;
  /** Whether the image was not closed properly. Its content is readable nevertheless. */
  readonly dirty: boolean;
}

/** What {@link checkQcow2} looks at. */
export interface Qcow2CheckInput {
  readonly reader: RandomAccessReader;
  readonly header: Qcow2Header;
  readonly l1: Buffer;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Checks everything that the active disk refers to: all tables and data lie inside the file, no
 * two of them overlap, no reserved bit is set. Compressed clusters are decoded only where the end
 * of the file may have cut them.
 */
export async function checkQcow2(input: Qcow2CheckInput): Promise<Qcow2CheckReport> {
  const { header, reader, signal } = input;
  const { clusterSize, virtualSizeBytes } = header;
  const map = new HostClusterMap(reader.sizeBytes, clusterSize);
  const starts = new CompressedStarts();
  const coverage = l2CoverageBytes(header);
  const tables = Math.ceil(virtualSizeBytes / coverage);
  const cutClusters: CompressedSegment[] = [];

  await claimMetadata(input, map, tables);
  await claimSnapshots(reader, header, map);
  let allocatedBytes = 0;
  for (let index = 0; index < tables; index += 1) {
    const offset = readL1Entry(header, input.l1, index);
    if (offset === undefined) continue;
    signal?.throwIfAborted();
    const table = await reader.read(offset, clusterSize);
    const length = Math.min(coverage, virtualSizeBytes - index * coverage);
    let position = 0;
    let claimedGuestCluster = -1;
    for (const segment of readL2Table(header, table, 0, length)) {
      const guestCluster = Math.floor(position / clusterSize);
      position += segment.length;
      if (segment.type === "hole") {
        if (segment.allocatedOffset !== undefined && segment.allocatedOffset < reader.sizeBytes) {
          map.claim("data", segment.allocatedOffset, 1);
        }
        continue;
      }
      allocatedBytes += segment.length;
      if (segment.type === "compressed") {
        claimCompressed(reader, map, segment, cutClusters);
        starts.add(segment.hostOffset);
      } else if (guestCluster === claimedGuestCluster) {
        // The subclusters of one cluster share its host cluster.
        requireInside(reader, segment.hostOffset, segment.length);
      } else {
        map.claim("data", segment.hostOffset, segment.length);
        claimedGuestCluster = guestCluster;
      }
    }
  }
  starts.refuseFanOut(clusterSize, header.compression);
  for (const segment of cutClusters) {
    signal?.throwIfAborted();
    await checkCutCluster(input, segment);
  }
  return { allocatedBytes, compressedClusters: starts.count, dirty: header.dirty };
}

async function claimMetadata(
  { header, reader, l1 }: Qcow2CheckInput,
  map: HostClusterMap,
  tables: number,
): Promise<void> {
  const { clusterSize } = header;
  map.claim("metadata", 0, Math.min(clusterSize, reader.sizeBytes));
  if (header.l1Entries > 0) map.claim("metadata", header.l1Offset, header.l1Entries * 8);
  map.claim("metadata", header.refcountTableOffset, header.refcountTableBytes);
  const refcounts = await reader.read(header.refcountTableOffset, header.refcountTableBytes);
  for (let at = 0; at < refcounts.length; at += 8) {
    const high = refcounts.readUInt32BE(at);
    const low = refcounts.readUInt32BE(at + 4);
    if (high === 0 && low === 0) continue;
    const offset = high * 2 ** 32 + low;
    if (offset % clusterSize !== 0) {
      throw new ImageError(
        "IMAGE_CORRUPT",
        "the qcow2 image is corrupt: a refcount block is not cluster-aligned",
      );
    }
    map.claim("metadata", offset, clusterSize);
  }
  const offsets = new Float64Array(tables);
  for (let index = 0; index < tables; index += 1) {
    offsets[index] = readL1Entry(header, l1, index) ?? 0;
  }
  let previous = 0;
  for (const offset of offsets.sort()) {
    if (offset === 0) continue;
    if (offset === previous) {
      throw new ImageError(
        "IMAGE_UNSAFE",
        `the qcow2 image uses the L2 table at byte ${offset} more than once`,
      );
    }
    map.claim("metadata", offset, clusterSize);
    previous = offset;
  }
}

function requireInside(reader: RandomAccessReader, offset: number, length: number): void {
  if (offset + length <= reader.sizeBytes) return;
  throw new ImageError(
    "IMAGE_TRUNCATED",
    `the qcow2 image is cut short: data at byte ${offset} lies beyond its end`,
  );
}

function claimCompressed(
  reader: RandomAccessReader,
  map: HostClusterMap,
  segment: CompressedSegment,
  cutClusters: CompressedSegment[],
): void {
  const { hostOffset, hostLength } = segment;
  requireInside(reader, hostOffset, 1);
  const available = Math.min(hostLength, reader.sizeBytes - hostOffset);
  map.claim("compressed", hostOffset, available);
  if (available === hostLength) return;
  if (cutClusters.length === MAX_CUT_CLUSTERS) {
    throw new ImageError(
      "IMAGE_UNSAFE",
      "the qcow2 image has too many compressed clusters at its end",
    );
  }
  cutClusters.push(segment);
}

async function checkCutCluster(
  { reader }: Qcow2CheckInput,
  { hostOffset, length, codec, blockBytes }: CompressedSegment,
): Promise<void> {
  const compressed = await reader.read(hostOffset, reader.sizeBytes - hostOffset);
  const block = await decodeBlock(codec, compressed, blockBytes).catch((cause: unknown) => {
    throw cutCluster(cause);
  });
  if (block.bytes.length < length) throw cutCluster();
}

function cutCluster(cause?: unknown): ImageError {
  return new ImageError(
    "IMAGE_TRUNCATED",
    "the qcow2 image is cut short: its last compressed cluster is incomplete",
    { cause },
  );
}
