const PAGE_BYTES = 64 * 1024;

interface Page {
  readonly bytes: Buffer;
  readonly from: number;
  /** What of the page is there; it comes in order. */
  to: number;
}

interface Interval {
  readonly from: number;
  readonly to: number;
}

/**
 * Keeps those parts of a stream that nobody has read for good, as somebody may want them although they
 * lie far behind. When there are too many, the oldest are forgotten.
 */
export class UnreadPages {
  readonly #maxPages: number;
  readonly #pages = new Map<number, Page>();
  /** What has been read of pages that were not read completely, in order. */
  readonly #read = new Map<number, readonly Interval[]>();
  /** Pages that were read completely before they were to be kept. */
  readonly #done = new Set<number>();

  constructor(maxBytes: number) {
    this.#maxPages = Math.floor(maxBytes / PAGE_BYTES);
  }

  /** Says that these bytes were read for good. */
  release(offset: number, length: number): void {
    for (const { index, from, to } of pagesOf(offset, length)) {
      if (this.#done.has(index)) continue;
      const read = unite(this.#read.get(index) ?? [], { from, to });
      const [first] = read;
      const isWhole = first !== undefined && first.to - first.from === PAGE_BYTES;
      if (!isWhole) {
        this.#read.set(index, read);
        continue;
      }
      this.#read.delete(index);
      // Unless it has been kept already, it has yet to come by.
      if (!this.#pages.delete(index)) this.#done.add(index);
    }
  }

  /** Copies what is unread of bytes that are about to be forgotten; they come in order. */
  save(offset: number, bytes: Uint8Array): void {
    for (const { index, from, to } of pagesOf(offset, bytes.length)) {
      const isLastPart = to === (index + 1) * PAGE_BYTES;
      if (this.#done.has(index)) {
        if (isLastPart) this.#done.delete(index);
        continue;
      }
      const page = this.#page(index, from);
      page.bytes.set(bytes.subarray(from - offset, to - offset), from - index * PAGE_BYTES);
      page.to = to;
    }
  }

  /** Copies bytes from `offset` to `target`; returns how many, which is 0 where they are forgotten. */
  copy(offset: number, target: Buffer): number {
    const index = Math.floor(offset / PAGE_BYTES);
    const page = this.#pages.get(index);
    if (page === undefined || offset < page.from || offset >= page.to) return 0;
    const start = index * PAGE_BYTES;
    return page.bytes.copy(target, 0, offset - start, page.to - start);
  }

  #page(index: number, from: number): Page {
    const known = this.#pages.get(index);
    if (known !== undefined) return known;
    const page: Page = { bytes: Buffer.allocUnsafeSlow(PAGE_BYTES), from, to: from };
    this.#pages.set(index, page);
    const [oldest] = this.#pages.keys();
    if (this.#pages.size > this.#maxPages && oldest !== undefined) {
      this.#pages.delete(oldest);
      this.#read.delete(oldest);
    }
    return page;
  }
}

interface PagePart extends Interval {
  readonly index: number;
}

function* pagesOf(offset: number, length: number): Generator<PagePart> {
  const end = offset + length;
  for (let from = offset; from < end;) {
    const index = Math.floor(from / PAGE_BYTES);
    const to = Math.min(end, (index + 1) * PAGE_BYTES);
    yield { index, from, to };
    from = to;
  }
}

/** Adds an interval to others, which are in order and do not touch each other. */
function unite(intervals: readonly Interval[], added: Interval): readonly Interval[] {
  const before = intervals.filter(({ to }) => to < added.from);
  const after = intervals.filter(({ from }) => from > added.to);
  const touched = intervals.slice(before.length, intervals.length - after.length);
  const from = Math.min(added.from, touched[0]?.from ?? added.from);
  const to = Math.max(added.to, touched.at(-1)?.to ?? added.to);
  return [...before, { from, to }, ...after];
}
