import { ContentDigest } from "../digest/content-digest.ts";
import { createSourceDigest } from "../digest/create-source-digest.ts";
import { resolveImageLimits } from "../image-limits.ts";
import type { CopyExecutor } from "../worker/copy-executor.ts";
import type { DiskSink } from "../write/disk-sink.ts";
import { chooseExecutor } from "./choose-executor.ts";
import { ConversionMeter } from "./conversion-progress.ts";
import type { CheckedImage, CheckImageOptions } from "./check-image.ts";
import { copySource } from "./copy-source.ts";
import { openConversionSource } from "./open-conversion-source.ts";

/** Does what `checkImage` is asked for. */
export async function runCheck(
  options: CheckImageOptions,
  early: CopyExecutor | undefined,
): Promise<CheckedImage> {
  const { signal, digests = {} } = options;
  signal?.throwIfAborted();
  await using source = await openConversionSource(options.source, {
    limits: resolveImageLimits(options.limits),
    expectedFormat: options.expectedFormat,
    caBundle: options.caBundle,
    identity: false,
    digest: await createSourceDigest(options),
    member: options.member,
    threads: options.threads,
    signal,
  });
  await using executor = chooseExecutor(source, options.threads, early);
  const meter = new ConversionMeter({ report: options.onProgress });
  const digest = digests.content === true ? new ContentDigest() : undefined;
  const { virtualSizeBytes, warnings } = await copySource({
    source,
    sink: nothingSink,
    writeHoles: false,
    executor,
    observer: digest,
    meter,
    signal,
  });
  await source.verify();
  const sourceDigests = await source.digests();
  return {
    source: {
      format: source.format,
      wrappers: source.wrappers,
      ...(sourceDigests === undefined ? {} : { digests: sourceDigests }),
    },
    virtualSizeBytes,
    dataBytes: meter.bytesOut,
    ...(digest === undefined ? {} : { contentDigest: digest.digest(virtualSizeBytes) }),
    warnings,
  };
}

const nothingSink: DiskSink = {
  output: { kind: "nothing" },
  accept: async () => {},
  finish: async () => 0,
};
