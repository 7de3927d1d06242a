import { hash } from "node:crypto";
import type { DiskSegment } from "../disk/disk-segment.ts";
import { readSafe64LE } from "../disk/read-integer.ts";
import { GRAIN_MARKER_BYTES, parseGrainMarker } from "../vmdk/grain-marker.ts";
import { parseStreamFooter } from "../vmdk/stream-footer.ts";
import { directoryBytes } from "../vmdk/vmdk-grains.ts";
import { VMDK_SECTOR_BYTES, vmdkErrors, type VmdkHeader } from "../vmdk/vmdk-header.ts";
import { notStreamable, type WindowReader } from "./window-reader.ts";

const END_OF_STREAM = 0;
const GRAIN_TABLE = 1;
const GRAIN_DIRECTORY = 2;
const FOOTER = 3;
const ZERO_GRAIN = 1;
const SEGMENTS_AT_ONCE = 32;

/**
 * Walks a VMDK image of type streamOptimized by the markers in front of its grains. Its tables, in
 * front of the grains or behind them, have to say the same.
 *
 * @see VMware Virtual Disk Format 5.0, "Stream-Optimized Compressed Sparse Extents"
 */
export class VmdkStream {
  readonly #window: WindowReader;
  readonly #header: VmdkHeader;
  readonly #tableBytes: number;
  /** Digests of the tables in front of the grains, by their number. */
  readonly #firstTables = new Map<number, string>();
  /** Sectors of the tables behind their grains. */
  readonly #laterTables = new Map<number, number>();
  readonly #emptyTables = new Set<number>();
  #table: Buffer;
  #tableIndex = 0;
  #hasGrains = false;
  #directorySector: number | undefined;
  #hasFooter = false;
  #sector: number;
  #lastStart = 0;

  constructor(window: WindowReader, header: VmdkHeader) {
    this.#window = window;
    this.#header = header;
    this.#tableBytes = header.tableEntries * 4;
    this.#table = Buffer.alloc(this.#tableBytes);
    this.#sector = header.overhead;
    if (!Number.isSafeInteger(header.overhead * VMDK_SECTOR_BYTES) || header.overhead === 0) {
      throw vmdkErrors.corrupt("its header does not say where its first grain is");
    }
  }

  /** Reads the tables that lie in front of the grains, if they do. */
  async readFirstTables(): Promise<void> {
    const { directory } = this.#header;
    if (directory === undefined) return;
    if (directory === 0) throw vmdkErrors.corrupt("no header says where its tables are");
    const bytes = directoryBytes(this.#header);
    const entries = await this.#window.read(directory * VMDK_SECTOR_BYTES, bytes);
    const tables: { readonly index: number; readonly sector: number }[] = [];
    for (let index = 0; index * 4 < bytes; index += 1) {
      const sector = entries.readUInt32LE(index * 4);
      if (sector !== 0) tables.push({ index, sector });
    }
    tables.sort((a, b) => a.sector - b.sector);
    let end = 0;
    for (const { index, sector } of tables) {
      if (sector < end) throw vmdkErrors.corrupt("its tables overlap each other");
      if (sector >= this.#header.overhead) throw notStreamable(sector * VMDK_SECTOR_BYTES);
      end = sector + Math.ceil(this.#tableBytes / VMDK_SECTOR_BYTES);
      const table = await this.#window.read(sector * VMDK_SECTOR_BYTES, this.#tableBytes);
      this.#firstTables.set(index, this.#digest(table));
    }
  }

  /** The whole disk, in order. */
  async *segments(
    signal: AbortSignal | undefined,
  ): AsyncGenerator<readonly DiskSegment[], void, void> {
    const { grain, capacity } = this.#header;
    let position = 0;
    let found: DiskSegment[] = [];
    for (;;) {
      signal?.throwIfAborted();
      const marker = await this.#window.readUpTo(this.#byteOffset(), VMDK_SECTOR_BYTES);
      if (marker.length < GRAIN_MARKER_BYTES || marker.readUInt32LE(8) === 0) {
        if (await this.#readMetadata(marker)) continue;
        break;
      }
      const { firstSector, bytes } = parseGrainMarker(marker, this.#header, this.#sector);
      if (firstSector < position) throw notStreamable(this.#byteOffset());
      await this.#enterGrain(firstSector / grain);
      const length = (Math.min(firstSector + grain, capacity) - firstSector) * VMDK_SECTOR_BYTES;
      if (firstSector > position) found.push(holeOf(firstSector - position));
      found.push({
        type: "compressed",
        length,
        hostOffset: this.#byteOffset() + GRAIN_MARKER_BYTES,
        hostLength: bytes,
        codec: "zlib",
        blockBytes: grain * VMDK_SECTOR_BYTES,
      });
      position = Math.min(firstSector + grain, capacity);
      this.#lastStart = this.#byteOffset();
      this.#sector += Math.ceil((GRAIN_MARKER_BYTES + bytes) / VMDK_SECTOR_BYTES);
      if (found.length >= SEGMENTS_AT_ONCE) {
        yield found;
        found = [];
      }
    }
    if (position < capacity) found.push(holeOf(capacity - position));
    if (found.length > 0) yield found;
  }

  /** To be called when the whole stream has been read. */
  async finish(): Promise<void> {
    const { sizeBytes } = this.#window;
    if (this.#header.directory === undefined) {
      if (!this.#hasFooter) throw vmdkErrors.truncated("its footer is missing");
      if (sizeBytes !== this.#byteOffset()) throw somethingElse();
      return;
    }
    this.#closeFirstTable(Number.POSITIVE_INFINITY);
    // What may follow is the rest of the room for an uncompressed grain.
    const end = this.#byteOffset();
    const grainBytes = this.#header.grain * VMDK_SECTOR_BYTES;
    const isWhole =
      this.#hasFooter || sizeBytes <= end || sizeBytes >= this.#lastStart + grainBytes;
    if (!isWhole) throw vmdkErrors.truncated("the end-of-stream marker at its end is missing");
    if (sizeBytes - end > grainBytes) throw somethingElse();
    const rest = await this.#window.readUpTo(Math.min(end, sizeBytes), grainBytes);
    if (rest.some((byte) => byte !== 0)) throw somethingElse();
  }

  #byteOffset(): number {
    return this.#sector * VMDK_SECTOR_BYTES;
  }

  async #enterGrain(grain: number): Promise<void> {
    const index = Math.floor(grain / this.#header.tableEntries);
    if (index !== this.#tableIndex) {
      if (this.#header.directory !== undefined) this.#closeFirstTable(index);
      else if (this.#hasGrains) throw vmdkErrors.corrupt("a grain table is missing");
      this.#tableIndex = index;
    }
    this.#table.writeUInt32LE(this.#sector, (grain % this.#header.tableEntries) * 4);
    this.#hasGrains = true;
  }

  /** Compares what was found with the tables in front, up to that of number `next`. */
  #closeFirstTable(next: number): void {
    const isSame =
      this.#firstTables.get(this.#tableIndex) === this.#digest(this.#table) || !this.#hasGrains;
    if (!isSame) throw tablesDiffer();
    if (this.#hasGrains) this.#firstTables.delete(this.#tableIndex);
    this.#resetTable();
    if (next !== Number.POSITIVE_INFINITY) return;
    const empty = this.#digest(this.#table);
    for (const digest of this.#firstTables.values()) if (digest !== empty) throw tablesDiffer();
  }

  /** Returns whether the stream goes on. */
  async #readMetadata(marker: Buffer): Promise<boolean> {
    if (marker.length < VMDK_SECTOR_BYTES) {
      if (this.#header.directory !== undefined) return false;
      throw vmdkErrors.truncated("its footer is missing");
    }
    const sectors = readSafe64LE(marker, 0);
    const type = marker.readUInt32LE(12);
    if (type === END_OF_STREAM && sectors === 0) {
      if (this.#hasFooter) this.#sector += 1;
      return false;
    }
    this.#sector += 1;
    switch (type) {
      case GRAIN_TABLE:
        await this.#readTable(sectors);
        break;
      case GRAIN_DIRECTORY:
        await this.#readDirectory(sectors);
        break;
      case FOOTER:
        await this.#readFooter(sectors);
        break;
      default:
        throw vmdkErrors.corrupt(`the marker at sector ${this.#sector - 1} is of type ${type}`);
    }
    this.#sector += sectors;
    return true;
  }

  async #readTable(sectors: number): Promise<void> {
    this.#requireSectors(sectors, this.#tableBytes);
    const table = await this.#window.read(this.#byteOffset(), this.#tableBytes);
    if (this.#digest(table) !== this.#digest(this.#table)) throw tablesDiffer();
    if (this.#hasGrains) this.#laterTables.set(this.#tableIndex, this.#sector);
    else this.#emptyTables.add(this.#sector);
    this.#resetTable();
  }

  async #readDirectory(sectors: number): Promise<void> {
    const bytes = directoryBytes(this.#header);
    this.#requireSectors(sectors, bytes);
    if (this.#hasGrains) throw vmdkErrors.corrupt("a grain table is missing");
    const entries = await this.#window.read(this.#byteOffset(), bytes);
    for (let index = 0; index * 4 < bytes; index += 1) {
      const sector = entries.readUInt32LE(index * 4);
      const isEmpty = sector === 0 || this.#emptyTables.has(sector);
      const expected = this.#laterTables.get(index);
      if (expected === undefined ? !isEmpty : sector !== expected) throw tablesDiffer();
    }
    this.#directorySector = this.#sector;
  }

  async #readFooter(sectors: number): Promise<void> {
    this.#requireSectors(sectors, VMDK_SECTOR_BYTES);
    const bytes = await this.#window.read(this.#byteOffset(), VMDK_SECTOR_BYTES);
    const footer = parseStreamFooter(bytes, this.#header);
    const isRight =
      this.#header.directory !== undefined || footer.directory === this.#directorySector;
    if (!isRight || this.#directorySector === undefined) throw tablesDiffer();
    this.#hasFooter = true;
  }

  #requireSectors(sectors: number, bytes: number): void {
    if (sectors === Math.ceil(bytes / VMDK_SECTOR_BYTES)) return;
    throw vmdkErrors.corrupt(`the marker at sector ${this.#sector - 1} has a wrong length`);
  }

  #resetTable(): void {
    this.#table.fill(0);
    this.#hasGrains = false;
  }

  #digest(table: Buffer): string {
    if (!this.#header.hasZeroGrains) return hash("sha256", table);
    const plain = Buffer.from(table);
    for (let at = 0; at < plain.length; at += 4) {
      if (plain.readUInt32LE(at) === ZERO_GRAIN) plain.writeUInt32LE(0, at);
    }
    return hash("sha256", plain);
  }
}

function holeOf(sectors: number): DiskSegment {
  return { type: "hole", length: sectors * VMDK_SECTOR_BYTES };
}

function tablesDiffer(): Error {
  return vmdkErrors.corrupt("its tables do not say where its grains are");
}

function somethingElse(): Error {
  return vmdkErrors.corrupt("behind its last grain there is something else than a footer");
}
