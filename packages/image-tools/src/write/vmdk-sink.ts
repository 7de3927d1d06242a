import type { BlockEncoding, CopyOutput, CopyResult } from "../worker/copy-job.ts";
import { AppendWriter } from "./append-writer.ts";
import type { DiskSink } from "./disk-sink.ts";
import type { ImageTarget } from "./image-target.ts";
import {
  vmdkDescriptor,
  vmdkGrainMarker,
  vmdkMarker,
  vmdkSparseHeader,
  VMDK_GRAIN_BYTES,
  VMDK_GRAINS_PER_TABLE,
  VMDK_MARKER,
  VMDK_OVERHEAD_SECTORS,
  VMDK_SECTOR_BYTES,
} from "./vmdk-layout.ts";

/** Options of {@link VmdkSink}. */
export interface VmdkSinkOptions {
  /** Largest file. */
  readonly maxBytes: number;
  /** Name of the file, for its own descriptor. */
  readonly fileName: string;
}

/**
 * Writes a VMDK image of type streamOptimized, the format of the disks in an OVA, from front
 * to back: compressed grains of 64 KiB, each grain table behind its grains, the directory at the end,
 * and last the header, so that an incomplete file is never taken for an image.
 *
 * @see VMware Virtual Disk Format 5.0, "Stream-Optimized Compressed Sparse Extents"
 */
export class VmdkSink implements DiskSink {
  readonly output: CopyOutput;
  readonly #target: ImageTarget;
  readonly #options: VmdkSinkOptions;
  readonly #writer: AppendWriter;
  readonly #tableSectors = new Map<number, number>();
  #table: Buffer | undefined;
  #tableIndex = 0;

  constructor(target: ImageTarget, options: VmdkSinkOptions) {
    const encoding: BlockEncoding = {
      codec: "zlib",
      blockBytes: VMDK_GRAIN_BYTES,
      keepIncompressible: false,
    };
    this.output = { kind: "blocks", encoding };
    this.#target = target;
    this.#options = options;
    const start = VMDK_OVERHEAD_SECTORS * VMDK_SECTOR_BYTES;
    this.#writer = new AppendWriter(target, start, options.maxBytes);
  }

  async accept(start: number, { blocks = [], bytes }: CopyResult): Promise<void> {
    if (bytes === undefined) return;
    for (const block of blocks) {
      const grain = start / VMDK_GRAIN_BYTES + block.index;
      const table = await this.#selectTable(Math.floor(grain / VMDK_GRAINS_PER_TABLE));
      const sector = this.#sector();
      table.writeUInt32LE(sector, (grain % VMDK_GRAINS_PER_TABLE) * 4);
      const firstSector = (grain * VMDK_GRAIN_BYTES) / VMDK_SECTOR_BYTES;
      await this.#writer.append(vmdkGrainMarker(firstSector, block.length));
      await this.#writer.append(bytes.subarray(block.offset, block.offset + block.length));
      await this.#writer.align(VMDK_SECTOR_BYTES);
    }
  }

  async finish(sizeBytes: number): Promise<number> {
    await this.#closeTable();
    const directory = this.#grainDirectory(sizeBytes);
    await this.#writer.append(vmdkMarker(VMDK_MARKER.grainDirectory, directory.length));
    const directorySector = this.#sector();
    await this.#writer.append(directory);
    await this.#writer.append(vmdkMarker(VMDK_MARKER.footer, VMDK_SECTOR_BYTES));
    await this.#writer.append(vmdkSparseHeader(sizeBytes, directorySector));
    await this.#writer.append(vmdkMarker(VMDK_MARKER.endOfStream, 0));
    await this.#writer.drain();
    const head = Buffer.alloc(VMDK_OVERHEAD_SECTORS * VMDK_SECTOR_BYTES);
    head.set(vmdkSparseHeader(sizeBytes, "at the end"));
    head.write(vmdkDescriptor(sizeBytes, this.#options.fileName), VMDK_SECTOR_BYTES, "utf8");
    await this.#target.write(head, 0);
    await this.#target.finish(this.#writer.position);
    return this.#writer.position;
  }

  #grainDirectory(sizeBytes: number): Buffer {
    const tables = Math.ceil(sizeBytes / (VMDK_GRAIN_BYTES * VMDK_GRAINS_PER_TABLE));
    const directory = Buffer.alloc(roundUp(tables * 4));
    for (const [index, sector] of this.#tableSectors) directory.writeUInt32LE(sector, index * 4);
    return directory;
  }

  async #selectTable(index: number): Promise<Buffer> {
    if (this.#table !== undefined && this.#tableIndex === index) return this.#table;
    await this.#closeTable();
    this.#tableIndex = index;
    this.#table = Buffer.alloc(VMDK_GRAINS_PER_TABLE * 4);
    return this.#table;
  }

  async #closeTable(): Promise<void> {
    if (this.#table === undefined) return;
    await this.#writer.append(vmdkMarker(VMDK_MARKER.grainTable, this.#table.length));
    this.#tableSectors.set(this.#tableIndex, this.#sector());
    await this.#writer.append(this.#table);
    this.#table = undefined;
  }

  #sector(): number {
    return this.#writer.position / VMDK_SECTOR_BYTES;
  }
}

function roundUp(bytes: number): number {
  return Math.max(1, Math.ceil(bytes / VMDK_SECTOR_BYTES)) * VMDK_SECTOR_BYTES;
}
