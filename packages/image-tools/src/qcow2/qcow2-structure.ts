import { formatErrors } from "../disk/disk-opener.ts";
import type { CompressedSegment } from "../disk/disk-segment.ts";
import { SharedUses } from "../disk/shared-uses.ts";
import { CompressedStarts } from "./compressed-starts.ts";
import { HostClusterMap } from "./host-cluster-map.ts";
import type { Qcow2Header } from "./qcow2-header.ts";
import { l2CoverageBytes, readL1Entry, readL2Table } from "./qcow2-l2-table.ts";

const errors = formatErrors("qcow2");

const MAX_CUT_CLUSTERS = 64 * 1024;
const FIRST_FAN_OUT_CHECK = 16 * 1024;

/** An L2 table of the active disk. */
export interface L2Table {
  /** Which of the tables of the disk it is. */
  readonly index: number;
  readonly offset: number;
}

/**
 * Checks the structure of a qcow2 image part by part, in any order: nothing lies beyond the end of
 * the file, no two parts overlap, no reserved bit is set.
 */
export class Qcow2Structure {
  readonly map: HostClusterMap;
  /** All tables of the active disk, in the order of the file. */
  readonly tables: readonly L2Table[];
  /** Compressed clusters that the end of the file may have cut. */
  readonly cutClusters: CompressedSegment[] = [];
  readonly #header: Qcow2Header;
  readonly #fileBytes: number;
  readonly #starts = new CompressedStarts();
  #nextFanOutCheck = FIRST_FAN_OUT_CHECK;
  #allocatedBytes = 0;

  /** `fileBytes` is infinite where the length of the file is not known yet. */
  constructor(header: Qcow2Header, l1: Buffer, fileBytes: number) {
    const { clusterSize } = header;
    this.#header = header;
    this.#fileBytes = fileBytes;
    this.map = new HostClusterMap(fileBytes, clusterSize);
    this.map.claim("metadata", 0, Math.min(clusterSize, fileBytes));
    if (header.l1Entries > 0) this.map.claim("metadata", header.l1Offset, header.l1Entries * 8);
    this.map.claim("metadata", header.refcountTableOffset, header.refcountTableBytes);
    this.tables = this.#claimTables(l1);
  }

  get allocatedBytes(): number {
    return this.#allocatedBytes;
  }

  get compressedClusters(): number {
    return this.#starts.count;
  }

  /** Claims the blocks that the refcount table names. */
  claimRefcountBlocks(table: Buffer): void {
    const { clusterSize } = this.#header;
    for (let at = 0; at < table.length; at += 8) {
      const high = table.readUInt32BE(at);
      const low = table.readUInt32BE(at + 4);
      if (high === 0 && low === 0) continue;
      const offset = high * 2 ** 32 + low;
      if (offset % clusterSize !== 0)
        throw errors.corrupt("a refcount block is not cluster-aligned");
      this.map.claim("metadata", offset, clusterSize);
    }
  }

  /** Claims what the table of number `index` refers to. */
  claimContent(index: number, table: Buffer): void {
    const { clusterSize, virtualSizeBytes } = this.#header;
    const coverage = l2CoverageBytes(this.#header);
    const length = Math.min(coverage, virtualSizeBytes - index * coverage);
    let position = 0;
    let claimedGuestCluster = -1;
    for (const segment of readL2Table(this.#header, table, 0, length)) {
      const guestCluster = Math.floor(position / clusterSize);
      position += segment.length;
      if (segment.type === "hole") {
        if (segment.allocatedOffset !== undefined && segment.allocatedOffset < this.#fileBytes) {
          this.map.claim("data", segment.allocatedOffset, 1, 0);
        }
        continue;
      }
      this.#allocatedBytes += segment.length;
      if (segment.type === "compressed") {
        this.#claimCompressed(segment);
      } else if (guestCluster === claimedGuestCluster) {
        // The subclusters of one cluster share its host cluster.
        this.map.require("data", segment.hostOffset, segment.length);
      } else {
        this.map.claim("data", segment.hostOffset, segment.length);
        claimedGuestCluster = guestCluster;
      }
    }
    // Not only in the end: an image that is written while it is checked must not expand that long.
    if (this.#starts.count >= this.#nextFanOutCheck) {
      this.#refuseFanOut();
      this.#nextFanOutCheck = this.#starts.count * 2;
    }
  }

  /** To be called when everything has been claimed. */
  finish(): void {
    this.map.refuseShared();
    this.#refuseFanOut();
  }

  #refuseFanOut(): void {
    this.#starts.refuseFanOut(this.#header.clusterSize, this.#header.compression);
  }

  #claimTables(l1: Buffer): readonly L2Table[] {
    const { clusterSize, virtualSizeBytes } = this.#header;
    const count = Math.ceil(virtualSizeBytes / l2CoverageBytes(this.#header));
    const tables: L2Table[] = [];
    for (let index = 0; index < count; index += 1) {
      const offset = readL1Entry(this.#header, l1, index);
      if (offset !== undefined) tables.push({ index, offset });
    }
    tables.sort((a, b) => a.offset - b.offset);
    const shared = new SharedUses(errors);
    let previous = 0;
    for (const { offset } of tables) {
      if (offset === previous) shared.note(`the L2 table at byte ${offset}`);
      else this.map.claim("metadata", offset, clusterSize);
      previous = offset;
    }
    shared.refuse();
    return tables;
  }

  #claimCompressed(segment: CompressedSegment): void {
    const { hostOffset, hostLength } = segment;
    this.map.require("compressed", hostOffset, 1);
    const available = Math.min(hostLength, this.#fileBytes - hostOffset);
    this.map.claim("compressed", hostOffset, available, 1);
    this.#starts.add(hostOffset);
    if (available === hostLength) return;
    if (this.cutClusters.length === MAX_CUT_CLUSTERS) {
      throw errors.unsafe("it has too many compressed clusters at its end");
    }
    this.cutClusters.push(segment);
  }
}
