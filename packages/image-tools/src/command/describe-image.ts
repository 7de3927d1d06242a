import { inspectSource } from "../report/inspect-image.ts";
import type { ImageReport } from "../report/image-report.ts";
import { openSource } from "../source/open-source.ts";
import { EXIT_STATUS, statusOfCode } from "./exit-status.ts";
import { formatBytes } from "./format-quantity.ts";

/** What the command found out about an image. */
export interface ImageDescription {
  readonly status: number;
  readonly json: Readonly<Record<string, unknown>>;
  readonly text: string;
}

/** Options of {@link describeImage}. */
export interface DescribeImageOptions {
  readonly caBundle: string | undefined;
  readonly signal: AbortSignal;
}

/** Describes the image at a path or URL, also one that is unsafe, by as little of it as possible. */
export async function describeImage(
  location: string,
  options: DescribeImageOptions,
): Promise<ImageDescription> {
  const source = await openSource(location, options);
  await using _owner = source.kind === "random" ? source.reader : source.stream;
  const report = await inspectSource(source, { signal: options.signal });
  const { unsafe } = report;
  return {
    status: unsafe === undefined ? EXIT_STATUS.well : statusOfCode(unsafe.code),
    json: toJson(report),
    text: toText(location, report),
  };
}

function toJson(report: ImageReport): Readonly<Record<string, unknown>> {
  const { format, wrappers, virtualSizeBytes, storedBytes, allocatedBytes, unsafe } = report;
  return {
    format,
    wrappers,
    ...(virtualSizeBytes === undefined ? {} : { virtualSize: virtualSizeBytes }),
    storedSize: storedBytes,
    ...(allocatedBytes === undefined ? {} : { allocatedSize: allocatedBytes }),
    cdrom: report.cdrom,
    boot: report.boot,
    warnings: report.warnings,
    ...(unsafe === undefined ? {} : { error: unsafe }),
  };
}

function toText(location: string, report: ImageReport): string {
  const { format, wrappers, virtualSizeBytes, storedBytes, allocatedBytes, boot, unsafe } = report;
  const boots = [...(boot.bios ? ["BIOS"] : []), ...(boot.uefi ? ["UEFI"] : [])];
  const lines = [
    ["image", location],
    ["format", [...wrappers, format ?? "unknown"].join(" > ")],
    ["kind", report.cdrom ? "CD-ROM" : "disk"],
    ["virtual size", virtualSizeBytes === undefined ? "unknown" : formatBytes(virtualSizeBytes)],
    ["stored size", storedBytes === undefined ? "unknown" : formatBytes(storedBytes)],
    ...(allocatedBytes === undefined ? [] : [["allocated", formatBytes(allocatedBytes)]]),
    ...(boots.length === 0 ? [] : [["boots with", boots.join(", ")]]),
    ...report.warnings.map((warning) => ["warning", warning]),
    ...(unsafe === undefined ? [] : [["refused", `${unsafe.message} (${unsafe.code})`]]),
  ];
  return lines.map(([name, value]) => `${name}: ${value}\n`).join("");
}
