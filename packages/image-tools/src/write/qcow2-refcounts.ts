import { QCOW2_CLUSTER_BYTES } from "./qcow2-layout.ts";

const COUNTS_PER_BLOCK = QCOW2_CLUSTER_BYTES / 2;
const ENTRIES_PER_TABLE_CLUSTER = QCOW2_CLUSTER_BYTES / 8;

/** Counts how often each cluster of a qcow2 file is used, in 16 bits each. */
export class Qcow2Refcounts {
  readonly #blocks: Uint16Array[] = [];

  /** Counts one use of the clusters that hold `length` bytes from `offset`. */
  add(offset: number, length: number): void {
    const last = Math.floor((offset + length - 1) / QCOW2_CLUSTER_BYTES);
    let cluster = Math.floor(offset / QCOW2_CLUSTER_BYTES);
    for (; cluster <= last; cluster += 1) {
      const index = Math.floor(cluster / COUNTS_PER_BLOCK);
      while (this.#blocks.length <= index) this.#blocks.push(new Uint16Array(COUNTS_PER_BLOCK));
      const block = this.#blocks[index] as Uint16Array;
      const at = cluster % COUNTS_PER_BLOCK;
      block[at] = (block[at] ?? 0) + 1;
    }
  }

  /**
   * The refcount blocks and the table that refers to them, to be written from `offset`, the end of
   * all other clusters. They count themselves.
   */
  layOut(offset: number): { readonly blocks: Buffer; readonly table: Buffer } {
    const clusters = offset / QCOW2_CLUSTER_BYTES;
    let blockCount = 0;
    let tableClusters = 0;
    for (;;) {
      const wanted = Math.ceil((clusters + blockCount + tableClusters) / COUNTS_PER_BLOCK);
      const wantedTable = Math.max(1, Math.ceil(wanted / ENTRIES_PER_TABLE_CLUSTER));
      if (wanted === blockCount && wantedTable === tableClusters) break;
      blockCount = wanted;
      tableClusters = wantedTable;
    }
    this.add(offset, (blockCount + tableClusters) * QCOW2_CLUSTER_BYTES);
    const blocks = Buffer.alloc(blockCount * QCOW2_CLUSTER_BYTES);
    const table = Buffer.alloc(tableClusters * QCOW2_CLUSTER_BYTES);
    for (let index = 0; index < blockCount; index += 1) {
      const start = index * QCOW2_CLUSTER_BYTES;
      this.#blocks[index]?.forEach((count, at) => blocks.writeUInt16BE(count, start + at * 2));
      table.writeBigUInt64BE(BigInt(offset + start), index * 8);
    }
    return { blocks, table };
  }
}
