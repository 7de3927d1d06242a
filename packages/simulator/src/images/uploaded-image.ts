import { createHash } from "node:crypto";
import type { ImageInfo } from "@polyvisor/core";
import { Content } from "../storage/content.ts";
import { ImageFailure } from "./image-failure.ts";

/** Where an ISO 9660 image says that it is one. */
const ISO_MARK = { offset: 32_769, text: "CD001" };

/**
 * What an uploaded file is. Of a qcow2 file only the size of its disk is read: its disk is a made-up one of that size that
 * holds the file's first bytes.
 */
export function uploadedImage(file: Buffer): {
  readonly info: ImageInfo;
  readonly content: Content;
} {
  if (file.length === 0) throw new ImageFailure("IMAGE_UNRECOGNISED", "the upload is empty");
  const sha256 = createHash("sha256").update(file).digest("hex");
  const common = { storedBytes: file.length, sha256 };
  if (file.subarray(0, 4).equals(Buffer.from("QFI\xfb", "latin1")) && file.length >= 32) {
    const virtualSizeBytes = Number(file.readBigUInt64BE(24));
    const content = new Content(virtualSizeBytes, [{ offset: 0, bytes: file.subarray(0, 512) }]);
    return { info: { ...common, format: "qcow2", cdrom: false, virtualSizeBytes }, content };
  }
  const { offset, text } = ISO_MARK;
  const cdrom = file.subarray(offset, offset + text.length).toString("latin1") === text;
  const sizeBytes = Math.ceil(file.length / 512) * 512;
  const content = new Content(sizeBytes, [{ offset: 0, bytes: file }]);
  const format = cdrom ? "iso" : "raw";
  return { info: { ...common, format, cdrom, virtualSizeBytes: sizeBytes }, content };
}
