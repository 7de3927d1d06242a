export {
  requireDebianPackages,
  type DebianMachine,
  type DebianPackageRequirement,
  type RequireDebianPackagesOptions,
} from "./debian-packages.ts";
export type {
  EmbeddedHost,
  EmbeddedHostDescription,
  EmbeddedHostOptions,
} from "./embedded-host.ts";
export { removeEmbeddedHost } from "./embedded-host-removal.ts";
export { isLabError, LAB_ERROR_CODES, LabError, type LabErrorCode } from "./lab-error.ts";
export type { Lab, LabHost, LabOptions } from "./lab.ts";
export type { CommandResult, RunCommandOptions } from "./run-command.ts";
export { startEmbeddedHost } from "./start-embedded-host.ts";
export { startLab } from "./start-lab.ts";
export { buildGuestImage, type BuildGuestImageOptions, type GuestImage } from "./guest-image.ts";
