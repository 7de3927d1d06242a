// The public functions that start something long: what they need is loaded when they are first called, so that
// importing the package costs next to nothing. Their full descriptions are at the functions themselves.
import type { openDiskImage as OpenDiskImage } from "./disk/open-disk-image.ts";
import type { openHttpReader as OpenHttpReader } from "./http/open-http-reader.ts";
import type { openHttpSource as OpenHttpSource } from "./http/open-http-source.ts";
import type { openOciImage as OpenOciImage } from "./oci/open-oci-image.ts";
import type { openOciLayout as OpenOciLayout } from "./oci/open-oci-layout.ts";
import type { openOva as OpenOva } from "./ova/open-ova.ts";
import type { parseOvf as ParseOvf } from "./ovf/parse-ovf.ts";
import type {
  inspectImage as InspectImage,
  inspectSource as InspectSource,
} from "./report/inspect-image.ts";
import type { openArchiveDisk as OpenArchiveDisk } from "./source/open-archive-disk.ts";
import type { openSource as OpenSource } from "./source/open-source.ts";
import type { openTar as OpenTar } from "./tar/open-tar.ts";
import type { walkTar as WalkTar } from "./tar/walk-tar.ts";

/** Recognises, opens and checks a disk image of any format. @see disk/open-disk-image.ts */
export const openDiskImage: typeof OpenDiskImage = async (...input) =>
  (await import("./disk/open-disk-image.ts")).openDiskImage(...input);

/** Opens an HTTP or HTTPS file for random access by range requests. @see http/open-http-reader.ts */
export const openHttpReader: typeof OpenHttpReader = async (...input) =>
  (await import("./http/open-http-reader.ts")).openHttpReader(...input);

/** Opens an HTTP or HTTPS resource that is read once, in order. @see http/open-http-source.ts */
export const openHttpSource: typeof OpenHttpSource = async (...input) =>
  (await import("./http/open-http-source.ts")).openHttpSource(...input);

/** Opens the disk in a container image of a registry. @see oci/open-oci-image.ts */
export const openOciImage: typeof OpenOciImage = async (...input) =>
  (await import("./oci/open-oci-image.ts")).openOciImage(...input);

/** Opens the disk in a container image that was saved as an OCI layout. @see oci/open-oci-layout.ts */
export const openOciLayout: typeof OpenOciLayout = async (...input) =>
  (await import("./oci/open-oci-layout.ts")).openOciLayout(...input);

/** Opens an OVA package in place: its description and its disks. @see ova/open-ova.ts */
export const openOva: typeof OpenOva = async (...input) =>
  (await import("./ova/open-ova.ts")).openOva(...input);

/** Describes an image by as little of it as possible. @see report/inspect-image.ts */
export const inspectImage: typeof InspectImage = async (...input) =>
  (await import("./report/inspect-image.ts")).inspectImage(...input);

/** Describes the image in any kind of source by as little of it as possible. @see report/inspect-image.ts */
export const inspectSource: typeof InspectSource = async (...input) =>
  (await import("./report/inspect-image.ts")).inspectSource(...input);

/** Opens the one disk image in an archive. @see source/open-archive-disk.ts */
export const openArchiveDisk: typeof OpenArchiveDisk = async (...input) =>
  (await import("./source/open-archive-disk.ts")).openArchiveDisk(...input);

/** Opens an image by its path or URL, for random access where that is possible. @see source/open-source.ts */
export const openSource: typeof OpenSource = async (...input) =>
  (await import("./source/open-source.ts")).openSource(...input);

/** Finds the members of a tar archive, to be read in place. @see tar/open-tar.ts */
export const openTar: typeof OpenTar = async (...input) =>
  (await import("./tar/open-tar.ts")).openTar(...input);

/** Goes through the members of a tar archive in order. @see tar/walk-tar.ts */
export const walkTar: typeof WalkTar = async function* (...input) {
  const tar = await import("./tar/walk-tar.ts");
  yield* tar.walkTar(...input);
};

/** Reads the OVF descriptor of a virtual machine. @see ovf/parse-ovf.ts */
export const parseOvf: typeof ParseOvf = async (...input) =>
  (await import("./ovf/parse-ovf.ts")).parseOvf(...input);
