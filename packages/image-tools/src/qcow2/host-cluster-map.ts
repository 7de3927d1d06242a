import { formatErrors } from "../disk/disk-opener.ts";
import { SharedUses } from "../disk/shared-uses.ts";
import type { ImageError } from "../image-error.ts";

const errors = formatErrors("qcow2");

const MAX_PAGES = 1024;
const PAGE_BYTES = 64 * 1024;
const PAGE_CLUSTERS = PAGE_BYTES * 4;

/** What a cluster of the image file is used for. */
export type HostClusterUse = "metadata" | "data" | "compressed";

const USE_BITS: Readonly<Record<HostClusterUse, number>> = { metadata: 1, data: 2, compressed: 3 };

/**
 * Remembers for every cluster of the image file what it is used for, in two bits each, and
 * refuses a second use. Only compressed clusters share host clusters, among themselves.
 */
export class HostClusterMap {
  readonly #clusterSize: number;
  readonly #fileBytes: number;
  readonly #pages = new Map<number, Uint8Array<ArrayBuffer>>();
  #pageIndex = -1;
  #page = new Uint8Array(0);
  #end = 0;
  #endUse: HostClusterUse = "metadata";
  readonly #shared = new SharedUses(errors);

  /** `fileBytes` is infinite where the length of the file is not known yet. */
  constructor(fileBytes: number, clusterSize: number) {
    this.#clusterSize = clusterSize;
    this.#fileBytes = fileBytes;
  }

  /**
   * Claims the clusters that hold bytes `offset` to `offset + length` of the file.
   *
   * @throws ImageError `IMAGE_CORRUPT` when one is used already; `IMAGE_TOO_LARGE` when the disk would
   * contain too many data clusters twice, or there are too many to be checked; `IMAGE_TRUNCATED`
   * when the first `needed` bytes are not all there.
   */
  claim(use: HostClusterUse, offset: number, length: number, needed: number = length): void {
    if (needed > 0) this.require(use, offset, needed);
    const bits = USE_BITS[use];
    const last = Math.floor((offset + length - 1) / this.#clusterSize);
    for (let cluster = Math.floor(offset / this.#clusterSize); cluster <= last; cluster += 1) {
      const page = this.#selectPage(Math.floor(cluster / PAGE_CLUSTERS));
      const within = cluster % PAGE_CLUSTERS;
      const index = within >>> 2;
      const shift = (within & 3) * 2;
      const byte = page[index] as number;
      const used = (byte >>> shift) & 3;
      if (used !== 0 && (used !== bits || use === "metadata")) throw overlap(use, cluster);
      if (used !== 0 && use === "data") this.#shared.note(`data cluster ${cluster}`);
      page[index] = byte | (bits << shift);
    }
  }

  /** @throws ImageError `IMAGE_TRUNCATED` when the bytes lie beyond the end of the file. */
  require(use: HostClusterUse, offset: number, length: number): void {
    const end = offset + length;
    if (end > this.#fileBytes) throw beyondEnd(use, offset);
    if (end <= this.#end) return;
    this.#end = end;
    this.#endUse = use;
  }

  /** @throws ImageError `IMAGE_UNSAFE` when the disk would contain a data cluster twice. */
  refuseShared(): void {
    this.#shared.refuse();
  }

  /**
   * Requires that everything that was claimed lies inside a file whose length was not known before.
   *
   * @throws ImageError `IMAGE_TRUNCATED`.
   */
  requireInside(fileBytes: number): void {
    if (this.#end > fileBytes) throw beyondEnd(this.#endUse, this.#end - 1);
  }

  #selectPage(index: number): Uint8Array<ArrayBuffer> {
    if (index === this.#pageIndex) return this.#page;
    let page = this.#pages.get(index);
    if (page === undefined) {
      if (this.#pages.size === MAX_PAGES) {
        throw errors.tooLarge(
          `it has more clusters of ${this.#clusterSize} bytes than can be checked`,
        );
      }
      page = new Uint8Array(PAGE_BYTES);
      this.#pages.set(index, page);
    }
    this.#pageIndex = index;
    this.#page = page;
    return page;
  }
}

function beyondEnd(use: HostClusterUse, offset: number): ImageError {
  return errors.truncated(`${use} at byte ${offset} lies beyond its end`);
}

function overlap(use: HostClusterUse, cluster: number): ImageError {
  return errors.corrupt(`${use} overlaps another use of cluster ${cluster}`);
}
