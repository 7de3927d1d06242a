import { nodeCrypto } from "../lazy-builtins.ts";

/** Size of the clusters whose digests are the leaves of the tree. */
export const CONTENT_CLUSTER_BYTES: number = 64 * 1024;

/** Length of one digest in the tree. */
export const CONTENT_HASH_BYTES = 32;

const ZERO_HASH = Buffer.alloc(CONTENT_HASH_BYTES);
const zeroCluster = Buffer.alloc(CONTENT_CLUSTER_BYTES);

/**
 * The leaf of one cluster of a disk: 32 zero bytes for a cluster of zeros, else its SHA-256. The
 * last cluster of a disk is filled up with zeros.
 */
function contentLeaf(cluster: Uint8Array): Buffer {
  const { length } = cluster;
  if (zeroCluster.compare(cluster, 0, length, 0, length) === 0) return ZERO_HASH;
  if (length === CONTENT_CLUSTER_BYTES) return nodeCrypto().hash("sha256", cluster, "buffer");
  const whole = Buffer.alloc(CONTENT_CLUSTER_BYTES);
  whole.set(cluster);
  return nodeCrypto().hash("sha256", whole, "buffer");
}

/** The leaves, one behind the other, of bytes that begin at a multiple of the cluster size. */
export function contentLeaves(bytes: Uint8Array): Buffer {
  const leaves = Buffer.alloc(Math.ceil(bytes.length / CONTENT_CLUSTER_BYTES) * CONTENT_HASH_BYTES);
  for (let start = 0, at = 0; start < bytes.length; start += CONTENT_CLUSTER_BYTES) {
    leaves.set(contentLeaf(bytes.subarray(start, start + CONTENT_CLUSTER_BYTES)), at);
    at += CONTENT_HASH_BYTES;
  }
  return leaves;
}

interface Subtree {
  readonly level: number;
  readonly hash: Buffer;
}

/**
 * Digest of what a disk contains, the same whatever format the disk is stored in.
 *
 * It is the root of a binary Merkle tree over clusters of 64 KiB ({@link contentLeaf}). A node over
 * two zero hashes is a zero hash, so that holes cost nothing; every other node is the SHA-256 of its
 * two children. Missing leaves at the right are zero hashes. The digest is `merkle-sha256-64k:`
 * and, in hexadecimal, the SHA-256 of the size of the disk (64 bits, big-endian) and the root.
 */
export class ContentDigest {
  readonly #stack: Subtree[] = [];

  /** Adds `count` clusters of zeros; a partial last cluster counts as one. */
  addZeroClusters(count: number): void {
    let rest = count;
    while (rest > 0) {
      const last = this.#stack.at(-1);
      // A subtree may only be as high as what is already there allows.
      const room = last === undefined ? Infinity : 2 ** last.level;
      let level = Math.floor(Math.log2(rest));
      while (2 ** level > Math.min(rest, room)) level -= 1;
      this.addSubtree(level, ZERO_HASH);
      rest -= 2 ** level;
    }
  }

  /** Adds the digests that {@link contentLeaves} returned. */
  addLeaves(leaves: Buffer): void {
    for (let at = 0; at < leaves.length; at += CONTENT_HASH_BYTES) {
      this.addSubtree(0, leaves.subarray(at, at + CONTENT_HASH_BYTES));
    }
  }

  /** Adds the root of a whole subtree over `2 ** level` clusters. */
  addSubtree(level: number, root: Buffer): void {
    let node: Subtree = { level, hash: root };
    for (;;) {
      const left = this.#stack.at(-1);
      if (left === undefined || left.level !== node.level) break;
      this.#stack.pop();
      node = { level: node.level + 1, hash: joinNodes(left.hash, node.hash) };
    }
    this.#stack.push(node);
  }

  /** The digest of a disk of `sizeBytes`, all of whose clusters were added. */
  digest(sizeBytes: number): string {
    let node: Subtree | undefined;
    for (const left of this.#stack.toReversed()) {
      if (node === undefined) {
        node = left;
        continue;
      }
      while (node.level < left.level) node = raise(node);
      node = { level: left.level + 1, hash: joinNodes(left.hash, node.hash) };
    }
    node ??= { level: 0, hash: ZERO_HASH };
    const clusters = Math.ceil(sizeBytes / CONTENT_CLUSTER_BYTES);
    while (2 ** node.level < clusters) node = raise(node);
    const size = Buffer.alloc(8);
    size.writeBigUInt64BE(BigInt(sizeBytes));
    return `merkle-sha256-64k:${nodeCrypto().hash("sha256", Buffer.concat([size, node.hash]), "hex")}`;
  }
}

/** The root over `2 ** level` leaves; leaves that are missing at the end are zero hashes. */
export function subtreeRoot(leaves: Buffer, level: number): Buffer {
  let row = Buffer.alloc(2 ** level * CONTENT_HASH_BYTES);
  row.set(leaves);
  while (row.length > CONTENT_HASH_BYTES) {
    const parents = Buffer.alloc(row.length / 2);
    for (let at = 0; at < row.length; at += 2 * CONTENT_HASH_BYTES) {
      const left = row.subarray(at, at + CONTENT_HASH_BYTES);
      const right = row.subarray(at + CONTENT_HASH_BYTES, at + 2 * CONTENT_HASH_BYTES);
      parents.set(joinNodes(left, right), at / 2);
    }
    row = parents;
  }
  return row;
}

function raise(node: Subtree): Subtree {
  return { level: node.level + 1, hash: joinNodes(node.hash, ZERO_HASH) };
}

function joinNodes(left: Buffer, right: Buffer): Buffer {
  if (left.equals(ZERO_HASH) && right.equals(ZERO_HASH)) return ZERO_HASH;
  return nodeCrypto().hash("sha256", Buffer.concat([left, right]), "buffer");
}
