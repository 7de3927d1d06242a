import { open, type FileHandle } from "node:fs/promises";
import type { CopyExecutor } from "../worker/copy-executor.ts";

// Starting threads takes as long as converting this much.
const MIN_BYTES = 16 * 1024 * 1024;
const QCOW2_MAGIC = 0x514649fb;
const VMDK_MAGIC = 0x4b444d56;
const VMDK_DEFLATE = 1;
const TABLE_SAMPLE_BYTES = 4096;
const HOST_OFFSET_MASK = 0x00ff_ffff_ffff_fe00n;
const COMPRESSED_BIT = 1n << 62n;

/** What {@link startThreadsEarly} looks at. */
export interface EarlyStart {
  readonly source: unknown;
  readonly threads?: number | undefined;
}

/**
 * Starts threads while a large local file is still being opened, if it seems to be compressed. A
 * wrong guess costs a little time and nothing else.
 */
export async function startThreadsEarly({
  source,
  threads,
}: EarlyStart): Promise<CopyExecutor | undefined> {
  if (typeof source !== "string" && !(source instanceof URL)) return undefined;
  if (!(await seemsCompressed(source))) return undefined;
  const { createWorkerPool } = await import("../worker/worker-pool.ts");
  return createWorkerPool({ threads });
}

async function seemsCompressed(path: string | URL): Promise<boolean> {
  try {
    await using file = await open(path, "r");
    const status = await file.stat();
    if (!status.isFile() || status.size <= MIN_BYTES) return false;
    const head = await sample(file, 0, 512);
    switch (head.readUInt32BE(0)) {
      case VMDK_MAGIC:
        return head.readUInt16LE(77) === VMDK_DEFLATE;
      case QCOW2_MAGIC:
        return await beginsCompressed(file, head);
      default:
        return false;
    }
  } catch {
    // Opening the source says better what is wrong, if anything is.
    return false;
  }
}

/** Whether the first cluster that a qcow2 image has is compressed. */
async function beginsCompressed(file: FileHandle, head: Buffer): Promise<boolean> {
  const l1 = await sample(file, Number(head.readBigUInt64BE(40)), TABLE_SAMPLE_BYTES);
  const l2Offset = Number(firstEntry(l1) & HOST_OFFSET_MASK);
  const l2 = await sample(file, l2Offset, TABLE_SAMPLE_BYTES);
  return (firstEntry(l2) & COMPRESSED_BIT) !== 0n;
}

function firstEntry(table: Buffer): bigint {
  for (let at = 0; at < table.length; at += 8) {
    const entry = table.readBigUInt64BE(at);
    if (entry !== 0n) return entry;
  }
  return 0n;
}

/** Bytes of the file, and zeros where it has none. */
async function sample(file: FileHandle, offset: number, length: number): Promise<Buffer> {
  const { buffer } = await file.read(Buffer.alloc(length), 0, length, offset);
  return buffer;
}
