import type { LibvirtConnection } from "./connection.ts";
import { procedures } from "./procedures.ts";
import { RpcError } from "./rpc-error.ts";
import type { RpcStream, StreamItem } from "./stream.ts";
import { maxStreamChunkBytes } from "./stream.ts";
import type { StorageVolHandle } from "./struct-layouts.ts";
import type { Integer64 } from "./xdr-reader.ts";

const sparseFlag = 1;

/** The part of a volume that a transfer covers. */
export interface VolumeTransfer {
  readonly volume: StorageVolHandle;
  /** First byte of the volume; default 0. */
  readonly offset?: Integer64 | undefined;
  /** Bytes to transfer; default 0, which means up to the end of the data or of the volume. */
  readonly length?: Integer64 | undefined;
  /** Transfer holes as holes; default true. Otherwise they travel as zero bytes. */
  readonly sparse?: boolean | undefined;
}

/** Options of a transfer. */
export interface VolumeTransferOptions {
  /** Aborts the transfer at the daemon as well. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Writes a volume (virStorageVolUpload) and resolves once the daemon has confirmed all of it.
 *
 * Use a dedicated connection: the daemon handles the packets of one connection in order. On a file
 * volume a hole cuts the file off at its end, so that a source with holes must describe the volume
 * up to its last byte, or else the volume gets shorter.
 *
 * @param source - Read only as fast as the daemon takes the data, and closed when the upload fails.
 * @throws LibvirtError when the daemon fails the upload; RpcError when it is aborted or the
 * connection ends.
 */
export async function uploadVolume(
  connection: LibvirtConnection,
  { volume, offset = 0, length = 0, sparse = true }: VolumeTransfer,
  source: AsyncIterable<StreamItem>,
  { signal }: VolumeTransferOptions = {},
): Promise<void> {
  const stream = await connection.openStream(
    procedures.storageVolUpload,
    { volume, offset, length, flags: sparse ? sparseFlag : 0 },
    { signal },
  );
  const items = source[Symbol.asyncIterator]();
  try {
    for (;;) {
      const item = await stream.interruptible(items.next());
      if (item.done === true) break;
      await sendItem(stream, item.value, sparse);
    }
  } catch (error) {
    stream.abort();
    closeSource(items);
    throw error;
  }
  await stream.finish();
}

/**
 * Reads a volume (virStorageVolDownload); the iteration ends after the last byte.
 *
 * Use a dedicated connection, so that a slow consumer holds back the daemon instead of failing
 * with `RPC_STREAM_OVERFLOW`. Leaving the loop early aborts the download.
 *
 * @throws LibvirtError when the daemon fails the download; RpcError when it is aborted or the
 * connection ends.
 */
export async function* downloadVolume(
  connection: LibvirtConnection,
  { volume, offset = 0, length = 0, sparse = true }: VolumeTransfer,
  { signal }: VolumeTransferOptions = {},
): AsyncGenerator<StreamItem, void, undefined> {
  const stream = await connection.openStream(
    procedures.storageVolDownload,
    { volume, offset, length, flags: sparse ? sparseFlag : 0 },
    { signal },
  );
  yield* stream;
  await stream.finish();
}

async function sendItem(stream: RpcStream, item: StreamItem, sparse: boolean): Promise<void> {
  if (item.type === "data") return stream.send(item.bytes);
  if (item.length < 0) {
    throw new RpcError("RPC_INVALID_ARGUMENT", "A hole cannot have a negative length.");
  }
  if (sparse) return stream.sendHole(item.length);
  const zeros = new Uint8Array(maxStreamChunkBytes);
  let remaining = BigInt(item.length);
  while (remaining > 0n) {
    const chunk = remaining < maxStreamChunkBytes ? Number(remaining) : maxStreamChunkBytes;
    await stream.send(zeros.subarray(0, chunk));
    remaining -= BigInt(chunk);
  }
}

// A source that hangs must not keep the failed upload from being reported.
function closeSource(items: AsyncIterator<StreamItem>): void {
  void Promise.resolve(items.return?.()).catch(() => {});
}
