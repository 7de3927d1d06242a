/** Limits that keep an image from exhausting whoever reads it. */
export interface ImageLimits {
  /** Largest disk, as its machine would see it. Default: 16 TiB. */
  readonly maxVirtualSizeBytes?: number;
  /** Largest file to be stored, after decompression. Default: 1 TiB. */
  readonly maxStoredBytes?: number;
  /** Highest ratio of decompressed to compressed bytes, past the first 64 MiB. Default: 1000. */
  readonly maxDecompressionRatio?: number;
}

/** Default of {@link ImageLimits.maxVirtualSizeBytes}. */
export const DEFAULT_MAX_VIRTUAL_SIZE_BYTES: number = 16 * 2 ** 40;

/** Fills in the defaults. */
export function resolveImageLimits(limits: ImageLimits = {}): Required<ImageLimits> {
  return {
    maxVirtualSizeBytes: limits.maxVirtualSizeBytes ?? DEFAULT_MAX_VIRTUAL_SIZE_BYTES,
    maxStoredBytes: limits.maxStoredBytes ?? 2 ** 40,
    maxDecompressionRatio: limits.maxDecompressionRatio ?? 1000,
  };
}
