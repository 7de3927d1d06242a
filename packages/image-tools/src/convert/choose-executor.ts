import { open, stat } from "node:fs/promises";
import { inlineExecutor, type CopyExecutor } from "../worker/copy-executor.ts";
import { createWorkerPool } from "../worker/worker-pool.ts";
import type { ConversionInput } from "./conversion-input.ts";
import type { ConversionSource } from "./conversion-source.ts";

// Starting threads takes as long as converting this much.
const INLINE_BYTES = 16 * 1024 * 1024;
const SMALL_HEAP_MEBIBYTES = 32;
// "QFI\xfb" and "KDMV": containers that are read at random.
const CONTAINER_MAGIC = new Set([0x514649fb, 0x4b444d56]);

/** Whether the pieces of a disk are only written, or also digested or compressed. */
export type PieceWork = "write" | "compute";

/**
 * Starts threads already while a large container is being opened, which needs them whatever is found
 * in it.
 */
export async function startThreadsEarly(
  source: ConversionInput,
  threads: number | undefined,
): Promise<CopyExecutor | undefined> {
  if (typeof source === "object" && !(source instanceof URL)) return undefined;
  return (await isLargeContainer(source)) ? createWorkerPool({ threads }) : undefined;
}

async function isLargeContainer(path: string | URL): Promise<boolean> {
  try {
    const status = await stat(path);
    if (!status.isFile() || status.size <= INLINE_BYTES) return false;
    await using file = await open(path, "r");
    const head = Buffer.alloc(4);
    await file.read(head, 0, 4, 0);
    return CONTAINER_MAGIC.has(head.readUInt32BE(0));
  } catch {
    // Opening the source says better what is wrong, if anything is.
    return false;
  }
}

/**
 * The threads that were started early, or those that the source needs. There are none where it is
 * known to be small, or where it comes as a stream that is only to be written: that is decoded
 * elsewhere, and passing it on would cost more than it saves.
 */
export function chooseExecutor(
  { allocatedBytes, reader }: ConversionSource,
  work: PieceWork,
  threads: number | undefined,
  early: CopyExecutor | undefined,
): CopyExecutor {
  if (early !== undefined) return early;
  const isSmall = allocatedBytes !== undefined && allocatedBytes <= INLINE_BYTES;
  const isOnlyWritten = reader === undefined && work === "write";
  const isInline = threads === undefined && (isSmall || isOnlyWritten);
  if (isInline) return inlineExecutor();
  // What is read ahead of a remote file needs memory too.
  const heapMebibytes = reader?.fd === undefined ? SMALL_HEAP_MEBIBYTES : undefined;
  return createWorkerPool({ threads, heapMebibytes });
}
