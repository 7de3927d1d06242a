import { stat } from "node:fs/promises";
import { ImageError } from "../image-error.ts";
import { createFileTarget } from "../write/file-target.ts";
import type { ImageTarget } from "../write/image-target.ts";
import type { ConversionSource } from "./conversion-source.ts";
import type { ResumableTarget } from "./resumable-target.ts";

/** Where a conversion goes to. */
export interface ConversionOutput extends AsyncDisposable {
  readonly target: ImageTarget;
  /** Present where the conversion can be gone on with after it was interrupted. */
  readonly resumable: ResumableTarget | undefined;
  /** Why it cannot be, where that was asked for. */
  readonly warning: string | undefined;
}

/** What {@link openOutput} is asked for. */
export interface OpenOutputOptions {
  readonly target: string;
  readonly to: "raw" | "qcow2" | "vmdk";
  readonly compress?: "deflate" | "zstd" | undefined;
  readonly resume?: boolean | undefined;
}

/**
 * Opens the target of a conversion.
 *
 * @throws ImageError `IMAGE_IO`, `IMAGE_TOO_LARGE`, `IMAGE_UNSUPPORTED`, `IMAGE_INVALID_ARGUMENT`,
 * `IMAGE_CONFLICT`.
 */
export async function openOutput(
  options: OpenOutputOptions,
  source: ConversionSource,
): Promise<ConversionOutput> {
  const path = options.target;
  const status = await stat(path).catch(() => undefined);
  const isFile = status === undefined || status.isFile();
  if (!isFile && !status.isBlockDevice()) {
    throw new ImageError(
      "IMAGE_INVALID_ARGUMENT",
      `"${path}" is neither a file nor a block device`,
    );
  }
  const { to, compress = "none" } = options;
  const canResume = isFile && to !== "vmdk" && source.identity !== undefined;
  if (options.resume === true && canResume) {
    const { openResumableTarget } = await import("./resumable-target.ts");
    const resumable = await openResumableTarget(path, `${source.identity} ${to} ${compress}`);
    const { target } = resumable;
    const dispose = (): PromiseLike<void> => resumable[Symbol.asyncDispose]();
    return { target, resumable, warning: undefined, [Symbol.asyncDispose]: dispose };
  }
  const target = isFile
    ? await createFileTarget(path)
    : await openDevice(path, options.to, source.virtualSizeBytes);
  return {
    target,
    resumable: undefined,
    warning: options.resume === true ? whyNotResumable(options, isFile) : undefined,
    [Symbol.asyncDispose]: () => target[Symbol.asyncDispose](),
  };
}

async function openDevice(
  path: string,
  to: string,
  sizeBytes: number | undefined,
): Promise<ImageTarget> {
  if (to !== "raw") {
    throw new ImageError(
      "IMAGE_UNSUPPORTED",
      "a block device takes a raw disk, and no image of one",
    );
  }
  const { openBlockDeviceTarget } = await import("../write/block-device-target.ts");
  return openBlockDeviceTarget(path, sizeBytes);
}

function whyNotResumable({ to }: OpenOutputOptions, isFile: boolean): string {
  if (to === "vmdk" || !isFile) {
    return "an interrupted conversion will start over: only a raw or qcow2 file can be gone on with";
  }
  return "an interrupted conversion will start over: nothing tells versions of the source apart";
}
