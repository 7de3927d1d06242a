export { checkImage, type CheckedImage, type CheckImageOptions } from "./convert/check-image.ts";
export type { ConversionInput } from "./convert/conversion-input.ts";
export type { ConversionProgress } from "./convert/conversion-progress.ts";
export {
  convertImage,
  type ConvertedImage,
  type ConvertImageOptions,
} from "./convert/convert-image.ts";
export { detectImage, type DetectedImage } from "./detect/detect-image.ts";
export { HEAD_SAMPLE_BYTES, TAIL_SAMPLE_BYTES, type ImageWrapper } from "./detect/detector.ts";
export type { DiskFormat } from "./disk/disk-format.ts";
export type { DiskImage, DiskImageCallOptions } from "./disk/disk-image.ts";
export type { ResolveExtent } from "./disk/disk-opener.ts";
export type { BlockCodec, DiskSegment } from "./disk/disk-segment.ts";
export type { OpenDiskImageOptions } from "./disk/open-disk-image.ts";
export type { ChecksumAlgorithm, Checksums } from "./http/checksum.ts";
export type { HttpReader, HttpReaderOptions } from "./http/open-http-reader.ts";
export type { HttpSource, HttpSourceOptions } from "./http/open-http-source.ts";
export type { DownloadProgress } from "./http/progress-meter.ts";
export type { HttpTraffic } from "./http/range-client.ts";
export { IMAGE_ERROR_CODES, type ImageErrorCode } from "./image-error-codes.ts";
export { ImageError, isImageError } from "./image-error.ts";
export type { ImageLimits } from "./image-limits.ts";
export {
  memoryReader,
  openFileReader,
  type RandomAccessReader,
} from "./io/random-access-reader.ts";
export { createIso9660, type Iso9660File, type Iso9660Input } from "./iso9660/create-iso9660.ts";
export {
  inspectImage,
  inspectSource,
  openArchiveDisk,
  openDiskImage,
  openHttpReader,
  openHttpSource,
  openOciImage,
  openOciLayout,
  openOva,
  openSource,
  openTar,
  parseOvf,
  walkTar,
} from "./lazy-functions.ts";
export { openQcow2, type OpenQcow2Options, type Qcow2Image } from "./qcow2/open-qcow2.ts";
export type { Qcow2CheckReport } from "./qcow2/qcow2-check.ts";
export type { OpenOciImageOptions } from "./oci/open-oci-image.ts";
export type { OpenOciLayoutOptions } from "./oci/open-oci-layout.ts";
export type { OciDisk } from "./oci/open-disk.ts";
export type {
  OpenOvaOptions,
  Ova,
  OvaDisk,
  VerifiedOvaDisk,
  VerifyOvaOptions,
} from "./ova/open-ova.ts";
export type {
  OvfController,
  OvfDescription,
  OvfDisk,
  OvfDrive,
  OvfFile,
  OvfNetwork,
  OvfNetworkAdapter,
  OvfOperatingSystem,
  OvfSystem,
} from "./ovf/ovf-description.ts";
export { writeOvf, type WriteOvfOptions } from "./ovf/write-ovf.ts";
export type { BootHints, ImageReport, UnsafeReason } from "./report/image-report.ts";
export type { InspectImageOptions } from "./report/inspect-image.ts";
export type { ArchiveDisk, OpenArchiveDiskOptions } from "./source/open-archive-disk.ts";
export { callbackReader, type CallbackReaderOptions } from "./source/callback-reader.ts";
export { fromStream, type ForwardSource, type FromStreamOptions } from "./source/forward-source.ts";
export type { ImageSource, OpenSourceOptions } from "./source/open-source.ts";
export { rawSparseStream, type RawSparseStreamOptions } from "./sparse/raw-sparse-stream.ts";
export type { SparseExtent, SparseStream } from "./sparse/sparse-stream.ts";
export {
  directoryImageStore,
  type DirectoryImageStoreOptions,
} from "./store/directory-image-store.ts";
export type {
  ContainerImageSource,
  DiskImageSource,
  HttpImageSource,
  ImageImportProgress,
  ImageInfo,
  ImageStore,
  ImageStoreCallOptions,
  ImportImageOptions,
  StoredImageSource,
  UploadImageSource,
} from "./store/image-store.ts";
export type { TarArchive } from "./tar/open-tar.ts";
export type { TarMember } from "./tar/walk-tar.ts";
