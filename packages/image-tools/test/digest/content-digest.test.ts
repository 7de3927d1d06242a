import { createHash } from "node:crypto";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  CONTENT_CLUSTER_BYTES,
  ContentDigest,
  contentLeaves,
  subtreeRoot,
} from "../../src/digest/content-digest.ts";
import { SegmentRoots, SEGMENT_BYTES, SEGMENT_TREE_LEVEL } from "../../src/digest/segment-roots.ts";

const ZERO = Buffer.alloc(32);
const sha256 = (...parts: readonly Uint8Array[]): Buffer => {
  const hash = createHash("sha256");
  for (const part of parts) hash.update(part);
  return hash.digest();
};

/** The digest by its definition, level by level. */
function definedDigest(leaves: readonly Buffer[], sizeBytes: number): string {
  let row = [...leaves];
  while (Math.log2(row.length) % 1 !== 0 || row.length === 0) row.push(ZERO);
  while (row.length > 1) {
    const parents: Buffer[] = [];
    for (let index = 0; index < row.length; index += 2) {
      const [left = ZERO, right = ZERO] = row.slice(index, index + 2);
      const isZero = left.equals(ZERO) && right.equals(ZERO);
      parents.push(isZero ? ZERO : sha256(left, right));
    }
    row = parents;
  }
  const size = Buffer.alloc(8);
  size.writeBigUInt64BE(BigInt(sizeBytes));
  return `merkle-sha256-64k:${sha256(size, row[0] ?? ZERO).toString("hex")}`;
}

describe("content digest", () => {
  test("equals its definition, however the zeros are given", () => {
    const run = fc.record({ zeros: fc.integer({ min: 0, max: 40 }), data: fc.nat({ max: 5 }) });
    fc.assert(
      fc.property(fc.array(run, { maxLength: 8 }), fc.boolean(), (runs, oneByOne) => {
        const leaves: Buffer[] = [];
        const digest = new ContentDigest();
        for (const { zeros, data } of runs) {
          for (let count = 0; count < zeros; count += 1) leaves.push(ZERO);
          if (oneByOne) digest.addLeaves(Buffer.alloc(zeros * 32));
          else digest.addZeroClusters(zeros);
          for (let count = 0; count < data; count += 1) {
            const leaf = sha256(Buffer.from([leaves.length]));
            leaves.push(leaf);
            digest.addLeaves(leaf);
          }
        }
        const sizeBytes = leaves.length * CONTENT_CLUSTER_BYTES;
        expect(digest.digest(sizeBytes)).toBe(definedDigest(leaves, sizeBytes));
      }),
    );
  });

  test("a leaf is the SHA-256 of a whole cluster, and zeros for zeros", () => {
    const bytes = Buffer.alloc(CONTENT_CLUSTER_BYTES * 2 + 3);
    bytes[0] = 1;
    bytes[bytes.length - 1] = 2;
    const last = Buffer.alloc(CONTENT_CLUSTER_BYTES);
    last[2] = 2;
    const first = sha256(bytes.subarray(0, CONTENT_CLUSTER_BYTES));
    expect(contentLeaves(bytes)).toEqual(Buffer.concat([first, ZERO, sha256(last)]));
  });

  test("a petabyte of zeros costs nothing, and sizes differ", () => {
    const digestOf = (sizeBytes: number): string => {
      const digest = new ContentDigest();
      digest.addZeroClusters(Math.ceil(sizeBytes / CONTENT_CLUSTER_BYTES));
      return digest.digest(sizeBytes);
    };
    const started = performance.now();
    expect(digestOf(2 ** 50)).not.toBe(digestOf(2 ** 50 - 1));
    expect(performance.now() - started).toBeLessThan(1000);
  });

  test("segments are subtrees of the digest", () => {
    const clusters = (2 * SEGMENT_BYTES) / CONTENT_CLUSTER_BYTES;
    const leaves = Buffer.alloc(clusters * 32);
    for (const index of [0, 5, 1023, 1024, 2000]) leaves[index * 32] = index % 255;
    const whole = new ContentDigest();
    whole.addLeaves(leaves);
    const roots = new SegmentRoots();
    const found = [
      ...roots.addLeaves(leaves.subarray(0, 100 * 32)),
      ...roots.addLeaves(leaves.subarray(100 * 32)),
    ];
    expect(found).toEqual([
      subtreeRoot(leaves.subarray(0, 1024 * 32), SEGMENT_TREE_LEVEL),
      subtreeRoot(leaves.subarray(1024 * 32), SEGMENT_TREE_LEVEL),
    ]);
    const bySegments = new ContentDigest();
    for (const root of found) bySegments.addSubtree(SEGMENT_TREE_LEVEL, root);
    expect(bySegments.digest(2 * SEGMENT_BYTES)).toBe(whole.digest(2 * SEGMENT_BYTES));
  });
});
