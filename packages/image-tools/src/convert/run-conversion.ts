import { basename } from "node:path";
import { ContentDigest } from "../digest/content-digest.ts";
import { SEGMENT_BYTES } from "../digest/segment-roots.ts";
import { createSourceDigest } from "../digest/create-source-digest.ts";
import { ImageError, isImageError } from "../image-error.ts";
import { resolveImageLimits, type ImageLimits } from "../image-limits.ts";
import type { CopyExecutor } from "../worker/copy-executor.ts";
import type { DiskSink, ResumableSink } from "../write/disk-sink.ts";
import type { ImageTarget } from "../write/image-target.ts";
import { rawSink } from "../write/raw-sink.ts";
import { chooseExecutor } from "./choose-executor.ts";
import { ConversionMeter } from "./conversion-progress.ts";
import type { ConversionSource } from "./conversion-source.ts";
import { copySource } from "./copy-source.ts";
import { openOutput, type ConversionOutput } from "./conversion-output.ts";
import { guardIdle } from "./idle-guard.ts";
import { inspectOutput } from "./inspect-output.ts";
import { observe } from "./observe-content.ts";
import { openConversionSource } from "./open-conversion-source.ts";
import type { ConvertedImage, ConvertImageOptions } from "./convert-image.ts";

const DEFAULT_MAX_IDLE_MS = 300_000;

/** Does what `convertImage` is asked for. */
export async function runConversion(
  options: ConvertImageOptions,
  early: CopyExecutor | undefined,
): Promise<ConvertedImage> {
  const { to } = options;
  if (options.compress !== undefined && to !== "qcow2") {
    throw new ImageError("IMAGE_INVALID_ARGUMENT", `a ${to} image has no choice of compression`);
  }
  options.signal?.throwIfAborted();
  using guard = guardIdle(options.maxIdleMs ?? DEFAULT_MAX_IDLE_MS, options.signal);
  const { signal } = guard;
  const limits = resolveImageLimits(options.limits);
  await using source = await openConversionSource(options.source, {
    limits,
    expectedFormat: options.expectedFormat,
    caBundle: options.caBundle,
    identity: options.resume === true,
    digest: await createSourceDigest(options),
    member: options.member,
    threads: options.threads,
    signal,
  });
  const output = await openOutput(options, source);
  await using _output = output;
  try {
    return await convertTo(output, source, {
      ...options,
      early,
      signal,
      limits,
      onStep: () => guard.note(),
    });
  } catch (error) {
    const mayPass = signal.aborted || (isImageError(error) && error.retryable);
    if (!mayPass) output.resumable?.discard();
    throw error;
  }
}

interface GuardedOptions extends ConvertImageOptions {
  readonly signal: AbortSignal;
  readonly early: CopyExecutor | undefined;
  readonly limits: Required<ImageLimits>;
  readonly onStep: () => void;
}

async function convertTo(
  { target, resumable, warning }: ConversionOutput,
  source: ConversionSource,
  options: GuardedOptions,
): Promise<ConvertedImage> {
  const { signal, digests = {}, to, limits } = options;
  await using executor = chooseExecutor(source, options.threads, options.early);
  const sink = await createSink(target, options, limits, source.virtualSizeBytes);
  const meter = new ConversionMeter({ report: options.onProgress });
  const digest = digests.content === true ? new ContentDigest() : undefined;
  const checkpoints =
    "checkpoint" in sink ? await resumable?.resume(sink, executor, signal) : undefined;
  const copied = await copySource({
    source,
    sink,
    writeHoles: !target.zeroed,
    executor,
    meter,
    signal,
    onStep: options.onStep,
    ...observe(digest, resumable, checkpoints),
  });
  const { virtualSizeBytes } = copied;

  meter.enter("storing");
  const storedBytes = await sink.finish(virtualSizeBytes);
  meter.enter("checking");
  await inspectOutput({
    target,
    format: to,
    virtualSizeBytes,
    maxVirtualSizeBytes: limits.maxVirtualSizeBytes,
    signal,
  });
  await source.verify();
  const sourceDigests = await source.digests();
  signal.throwIfAborted();
  await target.commit();
  await resumable?.complete();
  return {
    source: {
      format: source.format,
      wrappers: source.wrappers,
      ...(sourceDigests === undefined ? {} : { digests: sourceDigests }),
    },
    virtualSizeBytes,
    storedBytes,
    dataBytes: meter.bytesOut,
    resumedBytes: (checkpoints?.length ?? 0) * SEGMENT_BYTES,
    ...(digest === undefined ? {} : { contentDigest: digest.digest(virtualSizeBytes) }),
    warnings: [...(warning === undefined ? [] : [warning]), ...copied.warnings],
  };
}

async function createSink(
  target: ImageTarget,
  { to, compress, target: path }: ConvertImageOptions,
  { maxStoredBytes }: Required<ImageLimits>,
  sizeBytes: number | undefined,
): Promise<DiskSink | ResumableSink> {
  switch (to) {
    case "raw":
      return rawSink(target);
    case "qcow2": {
      const { Qcow2Sink } = await import("../write/qcow2-sink.ts");
      return new Qcow2Sink(target, { sizeBytes, compress, maxBytes: maxStoredBytes });
    }
    case "vmdk": {
      const { VmdkSink } = await import("../write/vmdk-sink.ts");
      return new VmdkSink(target, { maxBytes: maxStoredBytes, fileName: basename(path) });
    }
  }
}
