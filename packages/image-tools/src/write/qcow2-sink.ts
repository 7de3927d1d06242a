import { SEGMENT_BYTES } from "../digest/segment-roots.ts";
import type { DiskSegment } from "../disk/disk-segment.ts";
import type { BlockEncoding, CopyOutput, CopyResult, StoredBlock } from "../worker/copy-job.ts";
import { readFileFully } from "../worker/sync-file.ts";
import { AppendWriter } from "./append-writer.ts";
import type { ResumableSink, SegmentMark } from "./disk-sink.ts";
import type { ImageTarget } from "./image-target.ts";
import {
  locateInQcow2Table,
  QCOW2_CLUSTER_BYTES,
  QCOW2_L2_ENTRIES,
  QCOW2_TABLE_COVERAGE,
  qcow2HeaderCluster,
  writeClusterEntry,
  writeCompressedEntry,
} from "./qcow2-layout.ts";
import { Qcow2Refcounts } from "./qcow2-refcounts.ts";

/** Options of {@link Qcow2Sink}. */
export interface Qcow2SinkOptions {
  /** Size of the disk, where it is known beforehand. The image can be read as a stream then. */
  readonly sizeBytes: number | undefined;
  /** Compression of the clusters. Default: none. */
  readonly compress?: "deflate" | "zstd" | undefined;
  /** Largest file. */
  readonly maxBytes: number;
}

/**
 * Writes a qcow2 image, version 3, with clusters of 64 KiB, from front to back, each table in front of
 * what it describes: the L1 table where the size of the disk is known, and otherwise behind it all;
 * an L2 table and its clusters, as the disk comes; then the reference counts, and last the header, so
 * that an incomplete file is never taken for an image.
 */
export class Qcow2Sink implements ResumableSink {
  readonly output: CopyOutput;
  readonly #target: ImageTarget;
  readonly #options: Qcow2SinkOptions;
  readonly #refcounts = new Qcow2Refcounts();
  readonly #tableOffsets = new Map<number, number>();
  readonly #firstL1Bytes: number;
  #writer: AppendWriter;
  #table: Buffer = Buffer.alloc(QCOW2_CLUSTER_BYTES);
  #tableIndex = -1;

  constructor(target: ImageTarget, options: Qcow2SinkOptions) {
    const encoding: BlockEncoding = {
      codec: options.compress ?? "none",
      blockBytes: QCOW2_CLUSTER_BYTES,
      keepIncompressible: true,
    };
    this.output = { kind: "blocks", encoding };
    this.#target = target;
    this.#options = options;
    const { sizeBytes } = options;
    this.#firstL1Bytes = sizeBytes === undefined ? 0 : l1Bytes(sizeBytes);
    const start = QCOW2_CLUSTER_BYTES + this.#firstL1Bytes;
    this.#writer = new AppendWriter(target, start, options.maxBytes);
    this.#refcounts.add(0, start);
  }

  async accept(start: number, { blocks = [], bytes }: CopyResult): Promise<void> {
    if (blocks.length === 0 || bytes === undefined) return;
    const firstCluster = start / QCOW2_CLUSTER_BYTES;
    await this.#selectTable(Math.floor(firstCluster / QCOW2_L2_ENTRIES));
    const firstEntry = firstCluster % QCOW2_L2_ENTRIES;
    for (const block of blocks) {
      if (!block.compressed) await this.#writer.align(QCOW2_CLUSTER_BYTES);
      this.#enter(firstEntry + block.index, block);
      await this.#writer.append(bytes.subarray(block.offset, block.offset + block.length));
    }
  }

  async finish(sizeBytes: number): Promise<number> {
    await this.#writeTable();
    await this.#writer.align(QCOW2_CLUSTER_BYTES);
    const l1Offset = await this.#writeL1Table(sizeBytes);
    const refcountOffset = this.#writer.position;
    const { blocks, table } = this.#refcounts.layOut(refcountOffset);
    await this.#writer.append(blocks);
    await this.#writer.append(table);
    await this.#writer.drain();
    const header = qcow2HeaderCluster({
      sizeBytes,
      compression: this.#options.compress ?? "deflate",
      // A disk of no bytes has a table all the same, which must belong to something.
      l1Entries: Math.max(1, Math.ceil(sizeBytes / QCOW2_TABLE_COVERAGE)),
      l1Offset,
      refcountTableOffset: refcountOffset + blocks.length,
      refcountTableClusters: table.length / QCOW2_CLUSTER_BYTES,
    });
    await this.#target.write(header, 0);
    await this.#target.finish(this.#writer.position);
    return this.#writer.position;
  }

  async checkpoint(starts: readonly number[]): Promise<readonly SegmentMark[]> {
    await this.#writeTable();
    await this.#writer.drain();
    const end = this.#writer.position;
    return starts.map((start) => ({
      end,
      table: this.#tableOffsets.get(Math.floor(start / QCOW2_TABLE_COVERAGE)) ?? 0,
    }));
  }

  locate({ table }: SegmentMark, start: number, length: number): readonly DiskSegment[] {
    if (table === 0) return [{ type: "hole", length }];
    return locateInQcow2Table(
      this.#readTable(table),
      this.#options.compress ?? "deflate",
      start % QCOW2_TABLE_COVERAGE,
      length,
    );
  }

  resume(marks: readonly SegmentMark[], length: number): void {
    for (const [index, { table, end }] of marks.entries()) {
      const tableIndex = Math.floor((index * SEGMENT_BYTES) / QCOW2_TABLE_COVERAGE);
      if (table !== 0) this.#tableOffsets.set(tableIndex, table);
      this.#writer = new AppendWriter(this.#target, end, this.#options.maxBytes);
    }
    for (const [index, offset] of this.#tableOffsets) {
      const table = this.#readTable(offset);
      const entries = Math.max(0, length - index * QCOW2_TABLE_COVERAGE) / QCOW2_CLUSTER_BYTES;
      if (entries < QCOW2_L2_ENTRIES) {
        table.fill(0, entries * 8);
        this.#table = table;
        this.#tableIndex = index;
      }
      this.#refcounts.add(offset, QCOW2_CLUSTER_BYTES);
      this.#countUses(table);
    }
  }

  #enter(entry: number, block: StoredBlock): void {
    const offset = this.#writer.position;
    if (block.compressed) {
      const used = writeCompressedEntry(this.#table, entry, offset, block.length);
      this.#refcounts.add(offset, used);
    } else {
      writeClusterEntry(this.#table, entry, offset);
      this.#refcounts.add(offset, QCOW2_CLUSTER_BYTES);
    }
  }

  async #selectTable(index: number): Promise<void> {
    if (this.#tableIndex === index) return;
    await this.#writeTable();
    await this.#writer.align(QCOW2_CLUSTER_BYTES);
    const offset = this.#writer.position;
    this.#refcounts.add(offset, QCOW2_CLUSTER_BYTES);
    await this.#writer.skip(QCOW2_CLUSTER_BYTES);
    this.#tableOffsets.set(index, offset);
    this.#tableIndex = index;
    this.#table = Buffer.alloc(QCOW2_CLUSTER_BYTES);
  }

  async #writeTable(): Promise<void> {
    const offset = this.#tableOffsets.get(this.#tableIndex);
    if (offset !== undefined) await this.#target.write(this.#table, offset);
  }

  async #writeL1Table(sizeBytes: number): Promise<number> {
    const table = Buffer.alloc(l1Bytes(sizeBytes));
    for (const [index, offset] of this.#tableOffsets) writeClusterEntry(table, index, offset);
    if (table.length <= this.#firstL1Bytes) {
      await this.#target.write(table, QCOW2_CLUSTER_BYTES);
      return QCOW2_CLUSTER_BYTES;
    }
    const offset = this.#writer.position;
    this.#refcounts.add(offset, table.length);
    await this.#writer.append(table);
    return offset;
  }

  #readTable(offset: number): Buffer {
    const table = Buffer.alloc(QCOW2_CLUSTER_BYTES);
    readFileFully(this.#target.fd, table, offset);
    return table;
  }

  #countUses(table: Buffer): void {
    const compression = this.#options.compress ?? "deflate";
    for (const segment of locateInQcow2Table(table, compression, 0, QCOW2_TABLE_COVERAGE)) {
      if (segment.type === "data") this.#refcounts.add(segment.hostOffset, QCOW2_CLUSTER_BYTES);
      else if (segment.type === "compressed") {
        this.#refcounts.add(segment.hostOffset, segment.hostLength);
      }
    }
  }
}

function l1Bytes(sizeBytes: number): number {
  const bytes = Math.ceil(sizeBytes / QCOW2_TABLE_COVERAGE) * 8;
  return Math.max(1, Math.ceil(bytes / QCOW2_CLUSTER_BYTES)) * QCOW2_CLUSTER_BYTES;
}
