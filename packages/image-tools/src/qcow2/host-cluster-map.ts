import { ImageError } from "../image-error.ts";

const MAX_MAP_BYTES = 64 * 1024 * 1024;

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
  readonly #bits: Uint8Array;

  constructor(fileBytes: number, clusterSize: number) {
    const mapBytes = Math.ceil(Math.ceil(fileBytes / clusterSize) / 4);
    if (mapBytes > MAX_MAP_BYTES) {
      throw new ImageError(
        "IMAGE_TOO_LARGE",
        `the qcow2 image has too many clusters of ${clusterSize} bytes to be checked`,
      );
    }
    this.#clusterSize = clusterSize;
    this.#fileBytes = fileBytes;
    this.#bits = new Uint8Array(mapBytes);
  }

  /**
   * Claims the clusters that hold bytes `offset` to `offset + length` of the file.
   *
   * @throws ImageError `IMAGE_CORRUPT` when one is used already, `IMAGE_UNSAFE` when it is a data
   * cluster that the disk would contain twice, `IMAGE_TRUNCATED` when the bytes are not all there.
   */
  claim(use: HostClusterUse, offset: number, length: number): void {
    if (offset + length > this.#fileBytes) {
      throw new ImageError(
        "IMAGE_TRUNCATED",
        `the qcow2 image is cut short: ${use} at byte ${offset} lies beyond its end`,
      );
    }
    const bits = USE_BITS[use];
    const last = Math.floor((offset + length - 1) / this.#clusterSize);
    for (let cluster = Math.floor(offset / this.#clusterSize); cluster <= last; cluster += 1) {
      const index = Math.floor(cluster / 4);
      const shift = (cluster % 4) * 2;
      const byte = this.#bits[index] ?? 0;
      const used = (byte >>> shift) & 3;
      if (used !== 0 && (used !== bits || use !== "compressed")) throw overlap(use, used, cluster);
      this.#bits[index] = byte | (bits << shift);
    }
  }
}

function overlap(use: HostClusterUse, used: number, cluster: number): ImageError {
  if (use === "data" && used === USE_BITS.data) {
    return new ImageError(
      "IMAGE_UNSAFE",
      `the qcow2 image uses data cluster ${cluster} more than once`,
    );
  }
  return new ImageError(
    "IMAGE_CORRUPT",
    `the qcow2 image is corrupt: ${use} overlaps another use of cluster ${cluster}`,
  );
}
