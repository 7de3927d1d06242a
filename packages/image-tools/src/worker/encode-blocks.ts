import type { BlockCodec } from "../disk/disk-segment.ts";
import { nodeZlib } from "../lazy-builtins.ts";
import type { BlockEncoding, StoredBlock } from "./copy-job.ts";
import { isZero } from "../sparse/zero-runs.ts";

// Readers of qcow2 need not have a larger window; the level is that of qemu-img.
const DEFLATE_OPTIONS = { level: 6, windowBits: 12, memLevel: 9 } as const;
const ZSTD_LEVEL = 3;

/** Blocks, one behind the other. */
export interface EncodedBlocks {
  readonly blocks: readonly StoredBlock[];
  readonly bytes: Uint8Array<ArrayBuffer>;
}

/** Compresses the blocks of a piece of a disk on this thread; blocks of zeros are left out. */
export function encodeBlocks(disk: Buffer, encoding: BlockEncoding): EncodedBlocks {
  const { codec, blockBytes, keepIncompressible } = encoding;
  const blocks: StoredBlock[] = [];
  const parts: Uint8Array[] = [];
  let offset = 0;
  for (let start = 0, index = 0; start < disk.length; start += blockBytes, index += 1) {
    const content = disk.subarray(start, start + blockBytes);
    if (isZero(content)) continue;
    const block = fillUp(content, blockBytes);
    const encoded = codec === "none" ? block : compress(codec, block);
    const isSmaller = encoded.length < blockBytes;
    const compressed = codec !== "none" && (isSmaller || !keepIncompressible);
    const part = compressed ? encoded : block;
    blocks.push({ index, offset, length: part.length, compressed });
    parts.push(part);
    offset += part.length;
  }
  const bytes = new Uint8Array(offset);
  parts.forEach((part, index) => bytes.set(part, blocks[index]?.offset));
  return { blocks, bytes };
}

function fillUp(content: Buffer, blockBytes: number): Buffer {
  if (content.length === blockBytes) return content;
  const block = Buffer.alloc(blockBytes);
  block.set(content);
  return block;
}

function compress(codec: BlockCodec, block: Buffer): Buffer {
  const chunkSize = block.length + 4096;
  switch (codec) {
    case "deflate":
      return nodeZlib().deflateRawSync(block, { ...DEFLATE_OPTIONS, chunkSize });
    case "zlib":
      return nodeZlib().deflateSync(block, { ...DEFLATE_OPTIONS, chunkSize });
    case "zstd":
      return nodeZlib().zstdCompressSync(block, {
        chunkSize,
        params: { [nodeZlib().constants.ZSTD_c_compressionLevel]: ZSTD_LEVEL },
      });
  }
}
