import type { ConvertedImage, ConvertImageOptions } from "./convert-image.ts";

/** What {@link checkImage} is asked for; see {@link ConvertImageOptions}. */
export type CheckImageOptions = Pick<
  ConvertImageOptions,
  | "source"
  | "member"
  | "digests"
  | "checksum"
  | "expectedFormat"
  | "limits"
  | "caBundle"
  | "threads"
  | "signal"
  | "onProgress"
>;

/** What {@link checkImage} found. */
export type CheckedImage = Omit<ConvertedImage, "storedBytes" | "resumedBytes">;

/**
 * Checks a disk image as converting it would: its whole structure, and that every compressed block
 * can be decoded. Nothing is written.
 *
 * @throws ImageError as `convertImage` does.
 */
export async function checkImage(options: CheckImageOptions): Promise<CheckedImage> {
  const { startThreadsEarly } = await import("./start-threads-early.ts");
  await using early = await startThreadsEarly(options);
  const { runCheck } = await import("./run-check.ts");
  return await runCheck(options, early);
}
