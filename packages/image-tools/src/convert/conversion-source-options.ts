import type { DiskFormat } from "../disk/disk-format.ts";
import type { SourceDigest } from "../digest/source-digest.ts";
import type { ImageLimits } from "../image-limits.ts";

/** How the source of a conversion is opened. */
export interface ConversionSourceOptions {
  readonly limits: Required<ImageLimits>;
  readonly expectedFormat: DiskFormat | undefined;
  readonly caBundle: string | undefined;
  /** Whether a name for this version of the source is wanted. */
  readonly identity: boolean;
  /** Takes the source as it is. */
  readonly digest: SourceDigest | undefined;
  /** Which disk of an archive is meant. Default: the only one. */
  readonly member: string | undefined;
  /** An archive inside of one is refused. */
  readonly isInArchive?: boolean;
  /** Threads for decoding. Default: one for each processor, at most 4. */
  readonly threads: number | undefined;
  readonly signal: AbortSignal | undefined;
}
