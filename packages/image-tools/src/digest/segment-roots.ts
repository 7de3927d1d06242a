import { CONTENT_CLUSTER_BYTES, CONTENT_HASH_BYTES, subtreeRoot } from "./content-digest.ts";

const SEGMENT_LEVEL = 10;
const SEGMENT_CLUSTERS = 2 ** SEGMENT_LEVEL;

/** Size of the segments of a disk that are verified one by one. */
export const SEGMENT_BYTES: number = SEGMENT_CLUSTERS * CONTENT_CLUSTER_BYTES;

/** Height of a segment in the tree of the content digest. */
export const SEGMENT_TREE_LEVEL: number = SEGMENT_LEVEL;

/** The root over a segment's leaves. */
export function segmentRoot(leaves: Buffer): Buffer {
  return subtreeRoot(leaves, SEGMENT_LEVEL);
}

/** Collects the leaves of a disk into whole segments. Each call returns the roots it completed. */
export class SegmentRoots {
  readonly #leaves = Buffer.alloc(SEGMENT_CLUSTERS * CONTENT_HASH_BYTES);
  #count = 0;

  addZeroClusters(count: number): readonly Buffer[] {
    const roots: Buffer[] = [];
    let rest = count;
    while (rest > 0) {
      const taken = Math.min(rest, SEGMENT_CLUSTERS - this.#count);
      const start = this.#count * CONTENT_HASH_BYTES;
      this.#leaves.fill(0, start, start + taken * CONTENT_HASH_BYTES);
      this.#advance(taken, roots);
      rest -= taken;
    }
    return roots;
  }

  addLeaves(leaves: Buffer): readonly Buffer[] {
    const roots: Buffer[] = [];
    for (let at = 0; at < leaves.length;) {
      const room = (SEGMENT_CLUSTERS - this.#count) * CONTENT_HASH_BYTES;
      const part = leaves.subarray(at, at + room);
      this.#leaves.set(part, this.#count * CONTENT_HASH_BYTES);
      this.#advance(part.length / CONTENT_HASH_BYTES, roots);
      at += part.length;
    }
    return roots;
  }

  #advance(clusters: number, roots: Buffer[]): void {
    this.#count += clusters;
    if (this.#count < SEGMENT_CLUSTERS) return;
    roots.push(segmentRoot(this.#leaves));
    this.#count = 0;
  }
}
