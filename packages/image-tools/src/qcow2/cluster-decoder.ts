import { promisify } from "node:util";
import {
  inflateRaw,
  inflateRawSync,
  zstdDecompress,
  zstdDecompressSync,
  type ZlibOptions,
  type ZstdOptions,
} from "node:zlib";
import { ImageError } from "../image-error.ts";
import type { Qcow2Header } from "./qcow2-header.ts";
import { zstdFrameLength } from "./zstd-frame.ts";

// Below this a thread pool job costs more than it saves.
const SYNC_CLUSTER_BYTES = 8 * 1024;

const inflateRawAsync = promisify<Buffer, ZlibOptions, Buffer>(inflateRaw);
const zstdDecompressAsync = promisify<Buffer, ZstdOptions, Buffer>(zstdDecompress);

/** Decodes the compressed clusters of one image. */
export interface ClusterDecoder {
  /**
   * Decodes `compressed`, which may have stray bytes behind the cluster's own, and returns the
   * first `length` bytes of the cluster.
   *
   * @throws ImageError `IMAGE_CORRUPT` when the data is damaged, shorter or longer than a cluster.
   */
  decode(compressed: Buffer, length: number): Promise<Buffer>;
}

/** Returns the decoder for the compression type and cluster size that `header` names. */
export function createClusterDecoder(header: Qcow2Header): ClusterDecoder {
  const { clusterSize } = header;
  const decodeAll = header.compression === "zstd" ? decodeZstd : decodeDeflate;
  return {
    decode: async (compressed, length) => {
      let content: Buffer;
      try {
        content = await decodeAll(compressed, clusterSize);
      } catch (cause) {
        throw new ImageError(
          "IMAGE_CORRUPT",
          "the qcow2 image is corrupt: a compressed cluster cannot be decoded",
          { cause },
        );
      }
      if (content.length < length) {
        throw new ImageError(
          "IMAGE_CORRUPT",
          "the qcow2 image is corrupt: a compressed cluster is too short",
        );
      }
      return content.subarray(0, length);
    },
  };
}

async function decodeDeflate(compressed: Buffer, clusterSize: number): Promise<Buffer> {
  const options = { chunkSize: clusterSize, maxOutputLength: clusterSize };
  return clusterSize <= SYNC_CLUSTER_BYTES
    ? inflateRawSync(compressed, options)
    : inflateRawAsync(compressed, options);
}

// One frame at a time: node:zlib may drop what follows the first frame without an error.
async function decodeZstd(compressed: Buffer, clusterSize: number): Promise<Buffer> {
  const parts: Buffer[] = [];
  let decoded = 0;
  let position = 0;
  while (decoded < clusterSize) {
    const rest = compressed.subarray(position);
    const frameLength = zstdFrameLength(rest);
    if (frameLength === undefined) break;
    const options = { chunkSize: clusterSize, maxOutputLength: clusterSize - decoded };
    const frame = rest.subarray(0, frameLength);
    const part =
      clusterSize <= SYNC_CLUSTER_BYTES
        ? zstdDecompressSync(frame, options)
        : await zstdDecompressAsync(frame, options);
    parts.push(part);
    decoded += part.length;
    position += frameLength;
  }
  return parts.length === 1 ? (parts[0] as Buffer) : Buffer.concat(parts);
}
