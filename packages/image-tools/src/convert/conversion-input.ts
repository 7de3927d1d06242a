import type { DiskImage } from "../disk/disk-image.ts";
import type { ForwardSource } from "../source/forward-source.ts";

/**
 * What can be converted: a path, an http, https, file or docker URL; a stream, which is read once and
 * disposed; or an opened image, which stays open.
 */
export type ConversionInput = string | URL | ForwardSource | DiskImage;
