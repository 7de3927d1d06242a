import type { ClaimedSize } from "../disk/raw-claimed-size.ts";
import { hasBytesAt } from "../detect/detector.ts";
import type { RandomAccessReader } from "../io/random-access-reader.ts";

const SECTOR_BYTES = 2048;
const FIRST_DESCRIPTOR = 16 * SECTOR_BYTES;
const UDF_ANCHOR = 256 * SECTOR_BYTES;
const UDF_ANCHOR_TAG = 2;
const UDF_PARTITION_TAG = 5;
const UDF_TERMINATOR_TAG = 8;
const MAX_UDF_DESCRIPTORS = 16;

/**
 * The largest size that the descriptors of an optical disc claim.
 *
 * @param head - The first `HEAD_SAMPLE_BYTES`, or the whole of a smaller disc.
 * @see ECMA-119, section 8.4.8; ECMA-167, sections 3/10.2 and 3/10.5
 */
export async function discClaimedSize(
  reader: RandomAccessReader,
  head: Buffer,
): Promise<ClaimedSize> {
  const sizes = [isoBytes(head), await udfBytes(reader, head)];
  return { bytes: Math.max(...sizes), by: "volume descriptor" };
}

function isoBytes(head: Buffer): number {
  if (!hasBytesAt(head, FIRST_DESCRIPTOR, "\x01CD001")) return 0;
  if (head.length < FIRST_DESCRIPTOR + SECTOR_BYTES) return FIRST_DESCRIPTOR + SECTOR_BYTES;
  return head.readUInt32LE(FIRST_DESCRIPTOR + 80) * head.readUInt16LE(FIRST_DESCRIPTOR + 128);
}

async function udfBytes(reader: RandomAccessReader, head: Buffer): Promise<number> {
  const isUdf = ["NSR02", "NSR03"].some((name) => head.includes(name, FIRST_DESCRIPTOR, "latin1"));
  if (!isUdf) return 0;
  // Without the anchor nothing on a UDF disc can be found.
  const least = UDF_ANCHOR + SECTOR_BYTES;
  if (reader.sizeBytes < least) return least;
  const anchor = await reader.read(UDF_ANCHOR, SECTOR_BYTES);
  if (anchor.readUInt16LE(0) !== UDF_ANCHOR_TAG) return least;
  const sequence = { bytes: anchor.readUInt32LE(16), sector: anchor.readUInt32LE(20) };
  const reserveEnd = anchor.readUInt32LE(28) * SECTOR_BYTES + anchor.readUInt32LE(24);
  let end = Math.max(least, reserveEnd, sequence.sector * SECTOR_BYTES + sequence.bytes);
  if (end > reader.sizeBytes) return end;
  const length = Math.min(sequence.bytes, MAX_UDF_DESCRIPTORS * SECTOR_BYTES);
  const descriptors = await reader.read(sequence.sector * SECTOR_BYTES, length);
  for (let at = 0; at + SECTOR_BYTES <= descriptors.length; at += SECTOR_BYTES) {
    const tag = descriptors.readUInt16LE(at);
    if (tag === UDF_TERMINATOR_TAG) break;
    if (tag !== UDF_PARTITION_TAG) continue;
    const sectors = descriptors.readUInt32LE(at + 188) + descriptors.readUInt32LE(at + 192);
    end = Math.max(end, sectors * SECTOR_BYTES);
  }
  return end;
}
