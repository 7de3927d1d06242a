import { createHash } from "node:crypto";
import { type ImageChecksum, type ImageInfo } from "@polyvisor/core";
import { Content } from "../storage/content.ts";
import type { ImageOptions } from "./image-options.ts";

const MEBIBYTE = 2 ** 20;

/** An image with nothing left open. */
export interface ServedImage {
  readonly info: ImageInfo;
  readonly sizeBytes: number;
  readonly bytesPerSecond: number;
  readonly content: Content;
  readonly options: ImageOptions;
}

export function servedImage(address: string, options: ImageOptions): ServedImage {
  const { sizeBytes = 600 * MEBIBYTE, format = "qcow2" } = options;
  const cdrom = format === "iso";
  const content = contentOf(address, options, cdrom ? sizeBytes : 2560 * MEBIBYTE);
  return {
    options,
    sizeBytes,
    bytesPerSecond: options.bytesPerSecond ?? 100 * MEBIBYTE,
    content,
    info: {
      format,
      cdrom,
      virtualSizeBytes: content.sizeBytes,
      storedBytes: sizeBytes,
      sha256: digestOf(address, options, "sha256"),
    },
  };
}

/** The digest of an image's file: what was said, or one that is made up of its address. */
export function digestOf(
  address: string,
  { checksum }: ImageOptions,
  algorithm: keyof ImageChecksum,
): string {
  return (
    checksum?.[algorithm]?.toLowerCase() ?? createHash(algorithm).update(address).digest("hex")
  );
}

function contentOf(address: string, options: ImageOptions, usualSize: number): Content {
  const { extents, sizeBytes = 600 * MEBIBYTE, virtualSizeBytes = usualSize } = options;
  if (extents) return Content.ofExtents(extents, sizeBytes);
  const mark = Buffer.from(`made up for ${address}`.slice(0, 512).padEnd(512));
  const hole = { type: "hole", length: virtualSizeBytes - mark.length } as const;
  return Content.ofExtents([{ type: "data", bytes: mark }, hole], sizeBytes);
}
