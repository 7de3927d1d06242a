import type { BlockEncoding, CopyOutput, CopyResult, StoredBlock } from "../worker/copy-job.ts";
import { AppendWriter } from "./append-writer.ts";
import type { DiskSink } from "./disk-sink.ts";
import type { ImageTarget } from "./image-target.ts";
import {
  QCOW2_CLUSTER_BYTES,
  QCOW2_L2_ENTRIES,
  qcow2HeaderCluster,
  writeClusterEntry,
  writeCompressedEntry,
} from "./qcow2-layout.ts";
import { Qcow2Refcounts } from "./qcow2-refcounts.ts";

/** Options of {@link Qcow2Sink}. */
export interface Qcow2SinkOptions {
  /** Compression of the clusters. Default: none. */
  readonly compress?: "deflate" | "zstd" | undefined;
  /** Largest file. */
  readonly maxBytes: number;
}

/**
 * Writes a qcow2 image, version 3, with clusters of 64 KiB, from front to back: clusters and L2
 * tables as the disk comes, then the L1 table and the reference counts, and last the header, so that
 * an incomplete file is never taken for an image.
 */
export class Qcow2Sink implements DiskSink {
  readonly output: CopyOutput;
  readonly #target: ImageTarget;
  readonly #options: Qcow2SinkOptions;
  readonly #writer: AppendWriter;
  readonly #refcounts = new Qcow2Refcounts();
  readonly #tableOffsets = new Map<number, number>();
  #table: Buffer | undefined;
  #tableIndex = 0;

  constructor(target: ImageTarget, options: Qcow2SinkOptions) {
    const encoding: BlockEncoding = {
      codec: options.compress ?? "none",
      blockBytes: QCOW2_CLUSTER_BYTES,
      keepIncompressible: true,
    };
    this.output = { kind: "blocks", encoding };
    this.#target = target;
    this.#options = options;
    this.#writer = new AppendWriter(target, QCOW2_CLUSTER_BYTES, options.maxBytes);
    this.#refcounts.add(0, QCOW2_CLUSTER_BYTES);
  }

  async accept(start: number, { blocks = [], bytes }: CopyResult): Promise<void> {
    if (blocks.length === 0 || bytes === undefined) return;
    const firstCluster = start / QCOW2_CLUSTER_BYTES;
    const table = await this.#selectTable(Math.floor(firstCluster / QCOW2_L2_ENTRIES));
    const firstEntry = firstCluster % QCOW2_L2_ENTRIES;
    for (const block of blocks) {
      if (!block.compressed) await this.#writer.align(QCOW2_CLUSTER_BYTES);
      this.#enter(table, firstEntry + block.index, block);
      await this.#writer.append(bytes.subarray(block.offset, block.offset + block.length));
    }
  }

  async finish(sizeBytes: number): Promise<number> {
    await this.#closeTable();
    await this.#writer.align(QCOW2_CLUSTER_BYTES);
    const l1Entries = Math.ceil(sizeBytes / (QCOW2_L2_ENTRIES * QCOW2_CLUSTER_BYTES));
    const l1Offset = await this.#appendClusters(this.#l1Table(l1Entries));
    const refcountOffset = this.#writer.position;
    const { blocks, table } = this.#refcounts.layOut(refcountOffset);
    await this.#writer.append(blocks);
    await this.#writer.append(table);
    await this.#writer.drain();
    const header = qcow2HeaderCluster({
      sizeBytes,
      compression: this.#options.compress ?? "deflate",
      l1Entries,
      l1Offset,
      refcountTableOffset: refcountOffset + blocks.length,
      refcountTableClusters: table.length / QCOW2_CLUSTER_BYTES,
    });
    await this.#target.write(header, 0);
    await this.#target.finish(this.#writer.position);
    return this.#writer.position;
  }

  #enter(table: Buffer, entry: number, block: StoredBlock): void {
    const offset = this.#writer.position;
    if (block.compressed) {
      const used = writeCompressedEntry(table, entry, offset, block.length);
      this.#refcounts.add(offset, used);
    } else {
      writeClusterEntry(table, entry, offset);
      this.#refcounts.add(offset, QCOW2_CLUSTER_BYTES);
    }
  }

  async #selectTable(index: number): Promise<Buffer> {
    if (this.#table !== undefined && this.#tableIndex === index) return this.#table;
    await this.#closeTable();
    this.#tableIndex = index;
    this.#table = Buffer.alloc(QCOW2_CLUSTER_BYTES);
    return this.#table;
  }

  async #closeTable(): Promise<void> {
    if (this.#table === undefined) return;
    await this.#writer.align(QCOW2_CLUSTER_BYTES);
    const offset = await this.#appendClusters(this.#table);
    this.#tableOffsets.set(this.#tableIndex, offset);
    this.#table = undefined;
  }

  #l1Table(entries: number): Buffer {
    const clusters = Math.max(1, Math.ceil((entries * 8) / QCOW2_CLUSTER_BYTES));
    const table = Buffer.alloc(clusters * QCOW2_CLUSTER_BYTES);
    for (const [index, offset] of this.#tableOffsets) writeClusterEntry(table, index, offset);
    return table;
  }

  async #appendClusters(bytes: Buffer): Promise<number> {
    const offset = this.#writer.position;
    this.#refcounts.add(offset, bytes.length);
    await this.#writer.append(bytes);
    return offset;
  }
}
