import type { DiskOpenerOptions } from "../disk/disk-opener.ts";
import type { DiskSegment } from "../disk/disk-segment.ts";
import type { RandomAccessReader } from "../io/random-access-reader.ts";
import { qcow2Segments } from "../qcow2/qcow2-disk.ts";
import { parseQcow2Header, type Qcow2Header } from "../qcow2/qcow2-header.ts";
import { claimSnapshots } from "../qcow2/qcow2-snapshots.ts";
import { Qcow2Structure } from "../qcow2/qcow2-structure.ts";
import type { ForwardDisk } from "./forward-disk.ts";
import { notStreamable, WINDOW_BYTES, type WindowReader } from "./window-reader.ts";

// The largest cluster, so that the header and all of its extensions are in it.
const HEAD_BYTES = 2 * 1024 * 1024;

/**
 * Opens a qcow2 image that comes as a stream. The L1 table has to be in the first window, and each L2
 * table not far behind the data that it describes, as those who convert whole images write it. The
 * structure is checked as its parts come past.
 */
export async function openForwardQcow2(
  window: WindowReader,
  options: DiskOpenerOptions,
): Promise<ForwardDisk> {
  const header = parseQcow2Header(await window.readUpTo(0, HEAD_BYTES), options);
  const l1Bytes = header.l1Entries * 8;
  if (header.l1Offset + l1Bytes > WINDOW_BYTES) throw notStreamable(header.l1Offset);
  const l1 = await window.read(header.l1Offset, l1Bytes);
  // Small compressed clusters are packed together with others that come much later on the disk.
  window.keepUnread();
  const structure = new Qcow2Structure(header, l1, Number.POSITIVE_INFINITY);
  let failure: { readonly error: unknown } | undefined;
  const checked = checkInPassing(window, header, structure);
  checked.catch((error: unknown) => {
    failure = { error };
  });
  const segments = qcow2Segments(withTable(window, header.l1Offset, l1), header);
  const { virtualSizeBytes } = header;
  return {
    virtualSizeBytes,
    warnings: header.warnings,
    segments: async function* whole(): AsyncGenerator<readonly DiskSegment[], void, void> {
      for await (const list of segments(0, virtualSizeBytes, options.signal)) {
        if (failure !== undefined) throw failure.error;
        yield list;
      }
    },
    finish: async () => {
      await checked;
      structure.finish();
      structure.map.requireInside(window.sizeBytes);
    },
  };
}

/** The parts may come in any order, and none is waited for by what reads the disk. */
async function checkInPassing(
  window: WindowReader,
  header: Qcow2Header,
  structure: Qcow2Structure,
): Promise<void> {
  const passing: RandomAccessReader = {
    sizeBytes: Number.POSITIVE_INFINITY,
    read: (offset, length) => window.readInPassing(offset, length),
    [Symbol.asyncDispose]: async () => {},
  };
  const checkTables = async (): Promise<void> => {
    for (const { index, offset } of structure.tables) {
      structure.claimContent(index, await passing.read(offset, header.clusterSize));
    }
  };
  const checkRefcounts = async (): Promise<void> => {
    const { refcountTableOffset, refcountTableBytes } = header;
    structure.claimRefcountBlocks(await passing.read(refcountTableOffset, refcountTableBytes));
  };
  await Promise.all([
    checkTables(),
    checkRefcounts(),
    claimSnapshots(passing, header, structure.map),
  ]);
}

/** The window, and a table that would be forgotten while it is still needed. */
function withTable(window: WindowReader, start: number, table: Buffer): RandomAccessReader {
  return {
    sizeBytes: Number.POSITIVE_INFINITY,
    read: async (offset, length) => {
      const isInside = offset >= start && offset + length <= start + table.length;
      if (isInside) return table.subarray(offset - start, offset - start + length);
      const bytes = await window.read(offset, length);
      window.release(offset, length);
      return bytes;
    },
    [Symbol.asyncDispose]: async () => {},
  };
}
