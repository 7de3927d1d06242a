import { decodeBlock } from "../disk/decode-block.ts";
import type { CompressedSegment } from "../disk/disk-segment.ts";
import { ImageError } from "../image-error.ts";
import type { RandomAccessReader } from "../io/random-access-reader.ts";
import type { Qcow2Header } from "./qcow2-header.ts";
import { claimSnapshots } from "./qcow2-snapshots.ts";
import { Qcow2Structure } from "./qcow2-structure.ts";

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
  const structure = new Qcow2Structure(header, input.l1, reader.sizeBytes);
  structure.claimRefcountBlocks(
    await reader.read(header.refcountTableOffset, header.refcountTableBytes),
  );
  await claimSnapshots(reader, header, structure.map);
  for (const { index, offset } of structure.tables) {
    signal?.throwIfAborted();
    structure.claimContent(index, await reader.read(offset, header.clusterSize));
  }
  structure.finish();
  for (const segment of structure.cutClusters) {
    signal?.throwIfAborted();
    await checkCutCluster(input, segment);
  }
  const { allocatedBytes, compressedClusters } = structure;
  return { allocatedBytes, compressedClusters, dirty: header.dirty };
}

async function checkCutCluster(
  { reader }: Qcow2CheckInput,
  segment: CompressedSegment,
): Promise<void> {
  const { hostOffset, length } = segment;
  const compressed = await reader.read(hostOffset, reader.sizeBytes - hostOffset);
  try {
    decodeBlock(segment, compressed, Buffer.allocUnsafe(length));
  } catch (cause) {
    throw cutCluster(cause);
  }
}

function cutCluster(cause: unknown): ImageError {
  return new ImageError(
    "IMAGE_TRUNCATED",
    "the qcow2 image is cut short: its last compressed cluster is incomplete",
    { cause },
  );
}
