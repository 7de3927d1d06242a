import { formatErrors, readStructure } from "../disk/disk-opener.ts";
import { readSafe64BE } from "../disk/read-integer.ts";
import type { RandomAccessReader } from "../io/random-access-reader.ts";
import type { HostClusterMap } from "./host-cluster-map.ts";
import type { Qcow2Header } from "./qcow2-header.ts";

const errors = formatErrors("qcow2");

const ENTRY_BYTES = 40;
const MAX_EXTRA_BYTES = 1024;
const MAX_TABLE_BYTES = 16 * 1024 * 1024;
const MAX_L1_BYTES = 32 * 1024 * 1024;

/**
 * Claims the table of internal snapshots and the L1 table of each. What those refer to is not
 * looked at, as it may be shared with the active disk and is not read.
 *
 * @see QEMU docs/interop/qcow2, "Snapshots"
 */
export async function claimSnapshots(
  reader: RandomAccessReader,
  header: Qcow2Header,
  map: HostClusterMap,
): Promise<void> {
  if (header.snapshots === 0) return;
  const start = header.snapshotTableOffset;
  let next = start;
  let end = start;
  for (let index = 0; index < header.snapshots; index += 1) {
    const entry = await readStructure(reader, errors, "the snapshot table", next, ENTRY_BYTES);
    const l1Offset = readSafe64BE(entry, 0);
    const l1Bytes = entry.readUInt32BE(8) * 8;
    const extraBytes = entry.readUInt32BE(36);
    if (l1Bytes > MAX_L1_BYTES) throw errors.tooLarge("the L1 table of a snapshot");
    if (extraBytes > MAX_EXTRA_BYTES) throw errors.corrupt("a snapshot has too much extra data");
    if (l1Offset % header.clusterSize !== 0) {
      throw errors.corrupt("the L1 table of a snapshot is not cluster-aligned");
    }
    if (l1Bytes > 0) map.claim("metadata", l1Offset, l1Bytes);
    const length = ENTRY_BYTES + extraBytes + entry.readUInt16BE(12) + entry.readUInt16BE(14);
    // Only what lies between two entries is filled up, so the file may end with the last one.
    end = next + length;
    next += Math.ceil(length / 8) * 8;
    if (end - start > MAX_TABLE_BYTES) throw errors.tooLarge("the snapshot table");
  }
  map.claim("metadata", start, end - start);
}
