import { formatErrors } from "../disk/disk-opener.ts";
import { SharedUses } from "../disk/shared-uses.ts";

const errors = formatErrors("qcow2");

const PAGE_ENTRIES = 8 * 1024;
// 128 MiB, and a disk of 1 TiB in the usual clusters.
const MAX_ENTRIES = 16 * 1024 * 1024;
// No deflate stream expands further, and a zstd frame has at least this many bytes.
const MAX_DEFLATE_RATIO = 1032;
const MIN_ZSTD_FRAME_BYTES = 9;

/** Collects where compressed clusters begin, to find those that would be read more than once. */
export class CompressedStarts {
  readonly #pages: Float64Array[] = [];
  #page = new Float64Array(0);
  #count = 0;
  #last = 0;
  #isSorted = true;

  get count(): number {
    return this.#count;
  }

  add(offset: number): void {
    if (this.#count === MAX_ENTRIES) {
      throw errors.tooLarge("it has too many compressed clusters");
    }
    const index = this.#count % PAGE_ENTRIES;
    if (index === 0) {
      this.#page = new Float64Array(PAGE_ENTRIES);
      this.#pages.push(this.#page);
    }
    this.#page[index] = offset;
    this.#count += 1;
    if (offset < this.#last) this.#isSorted = false;
    this.#last = offset;
  }

  /**
   * Refuses images whose compressed clusters begin closer together than a compressed cluster can
   * be small: one piece of the file would fill many clusters of the disk.
   *
   * @throws ImageError `IMAGE_UNSAFE`, `IMAGE_TOO_LARGE` where there are many.
   */
  refuseFanOut(clusterSize: number, compression: "deflate" | "zstd"): void {
    const minimumGap =
      compression === "deflate"
        ? Math.max(1, Math.floor(clusterSize / MAX_DEFLATE_RATIO))
        : MIN_ZSTD_FRAME_BYTES;
    const shared = new SharedUses(errors);
    let previous = Number.NEGATIVE_INFINITY;
    // Programs that write images write them in order, so that no second copy of it all is needed.
    for (const starts of this.#isSorted ? this.#filledPages() : [this.#sorted()]) {
      for (const start of starts) {
        if (start - previous < minimumGap) shared.note(`the compressed data at byte ${previous}`);
        previous = start;
      }
    }
    shared.refuse();
  }

  #filledPages(): readonly Float64Array[] {
    return this.#pages.map((page, index) =>
      page.subarray(0, Math.min(PAGE_ENTRIES, this.#count - index * PAGE_ENTRIES)),
    );
  }

  #sorted(): Float64Array {
    const sorted = new Float64Array(this.#count);
    this.#filledPages().forEach((page, index) => sorted.set(page, index * PAGE_ENTRIES));
    return sorted.sort();
  }
}
