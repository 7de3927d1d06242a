import { formatErrors } from "../disk/disk-opener.ts";
import { SharedUses } from "../disk/shared-uses.ts";

const errors = formatErrors("qcow2");

const PAGE_ENTRIES = 8 * 1024;
const MAX_ENTRIES = 32 * 1024 * 1024;
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
    const sorted = new Float64Array(this.#count);
    this.#pages.forEach((page, index) => {
      const start = index * PAGE_ENTRIES;
      sorted.set(page.subarray(0, Math.min(PAGE_ENTRIES, this.#count - start)), start);
    });
    // Programs that write images write them in order.
    if (!this.#isSorted) sorted.sort();
    const shared = new SharedUses(errors);
    for (let index = 1; index < sorted.length; index += 1) {
      const previous = sorted[index - 1] as number;
      if ((sorted[index] as number) - previous < minimumGap) {
        shared.note(`the compressed data at byte ${previous}`);
      }
    }
    shared.refuse();
  }
}
