import { createHash } from "node:crypto";
import { readdir, readFile, rm } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { writeBootDisk } from "./boot-disk.ts";
import {
  resolveDebianPackages,
  resolveNewestDebianPackages,
  unpackDebianPackages,
  type DebianPackage,
} from "./debian-archive.ts";
import { requireDebianPackages, type DebianPackageRequirement } from "./debian-packages.ts";
import { guestInitramfs } from "./guest-initramfs.ts";
import {
  GUEST_BOOT_MODULES,
  GUEST_FILES,
  GUEST_KERNEL_COMMAND_LINE,
  GUEST_SEED_MODULES,
} from "./guest-scripts.ts";
import { cachedImage, type CachedImage } from "./image-cache.ts";
import { isLabError, LabError } from "./lab-error.ts";
import { runChecked } from "./run-command.ts";

/** Options of {@link buildGuestImage}. */
export interface BuildGuestImageOptions {
  /** Where images are kept. Default: `polyvisor` in `$XDG_CACHE_HOME`, or else in `~/.cache`. */
  readonly cacheDirectory?: string | undefined;
  /** Whether missing Debian packages may be installed. Default: true. */
  readonly install?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Told in a sentence what goes on. */
  readonly onProgress?: ((message: string) => void) | undefined;
}

/** A guest image in the cache: qcow2, read only for its users, who give guests an overlay on it. */
export type GuestImage = CachedImage;

const TOOLS: readonly DebianPackageRequirement[] = [
  { package: "qemu-utils", command: "qemu-img" },
  { package: "syslinux", command: "syslinux" },
  { package: "syslinux-common", command: "/usr/lib/syslinux/mbr/mbr.bin" },
  { package: "mtools", command: "mcopy" },
  { package: "lz4", command: "lz4" },
  { package: "dosfstools", command: "/usr/sbin/mkfs.vfat" },
];

const CONTENTS = ["linux-image-cloud-amd64", "busybox-static", "qemu-guest-agent"];
const FOLLOWED = /^(?:lib|zlib|linux-image-)/;
const DISK_BYTES = 64 * 1024 * 1024;
const BUILD_VERSION = 2;

/**
 * Builds a small bootable BIOS image out of Debian packages, or takes it from the cache.
 *
 * The guest runs from memory (256 MiB are plenty) and knows virtio devices only: disks and CD-ROMs on
 * virtio-scsi or virtio-blk, network cards, serial ports, random numbers and balloon. It takes host name, users and commands from a NoCloud
 * seed (a disk or CD-ROM labelled `cidata`; cloud-init, "NoCloud"), its address by DHCP on the first
 * network card, prints `HOSTNAME ADDRESS` and a login prompt on the first serial port, answers as QEMU
 * guest agent, and powers off on the agent's or the power button's request. Of `#cloud-config` it knows
 * `hostname`, `users` with `name`, `passwd` (or `hashed_passwd`) and `lock_passwd: true`, and `runcmd`.
 *
 * @throws LabError `LAB_UNSUPPORTED`, `LAB_PACKAGES_MISSING`, `LAB_COMMAND_FAILED` or `LAB_IMAGE_FAILED`.
 */
export async function buildGuestImage(options: BuildGuestImageOptions = {}): Promise<GuestImage> {
  const { signal, onProgress, install, cacheDirectory = defaultCacheDirectory() } = options;
  if (process.platform !== "linux" || process.arch !== "x64") {
    throw new LabError("LAB_UNSUPPORTED", "The guest image is built on Linux on amd64 only.");
  }
  await requireDebianPackages(TOOLS, { signal, onProgress, install });
  const resolution = { signal, follow: (name: string): boolean => FOLLOWED.test(name) };
  const build = async (packages: readonly DebianPackage[]): Promise<GuestImage> =>
    cachedImage(cacheDirectory, guestImageKey(packages), async (path, workDirectory) => {
      onProgress?.("Building the guest image");
      await buildImage(path, { packages, workDirectory, signal });
    });
  try {
    return await build(await resolveDebianPackages(CONTENTS, resolution));
  } catch (error) {
    // The package lists are missing, or older than the archive, which keeps current versions only.
    if (!isLabError(error, "LAB_COMMAND_FAILED") || process.getuid?.() !== 0) throw error;
    onProgress?.("Renewing the lists of Debian packages");
    return build(await resolveNewestDebianPackages(CONTENTS, resolution));
  }
}

/** The cache key of an image of these packages: changes with every version, script and setting in it. */
export function guestImageKey(packages: readonly DebianPackage[]): string {
  const content = {
    version: BUILD_VERSION,
    packages: packages.map(({ name, version }) => `${name}=${version}`),
    files: GUEST_FILES,
    modules: [GUEST_BOOT_MODULES, GUEST_SEED_MODULES],
    commandLine: GUEST_KERNEL_COMMAND_LINE,
    sizeBytes: DISK_BYTES,
  };
  const digest = createHash("sha256").update(JSON.stringify(content)).digest("hex");
  return `guest-image-${digest.slice(0, 32)}`;
}

async function buildImage(
  path: string,
  options: {
    readonly packages: readonly DebianPackage[];
    readonly workDirectory: string;
    readonly signal: AbortSignal | undefined;
  },
): Promise<void> {
  const { packages, workDirectory, signal } = options;
  const root = join(workDirectory, "root");
  const downloads = join(workDirectory, "downloads");
  await unpackDebianPackages(packages, root, { downloads, signal });
  const releases = await readdir(join(root, "lib/modules"));
  const kernelRelease = releases[0];
  if (kernelRelease === undefined || releases.length > 1) {
    throw new LabError("LAB_IMAGE_FAILED", `Expected one kernel, found: ${releases.join(", ")}`);
  }
  const raw = join(workDirectory, "disk.raw");
  const disk = {
    kernel: await readFile(join(root, "boot", `vmlinuz-${kernelRelease}`)),
    initramfs: await guestInitramfs(root, { kernelRelease, workDirectory, signal }),
    commandLine: GUEST_KERNEL_COMMAND_LINE,
    sizeBytes: DISK_BYTES,
  };
  await writeBootDisk(raw, disk, { workDirectory, signal });
  // Not compressed: without KVM, unpacking it costs a guest 0.3 s at every boot.
  await runChecked("qemu-img", ["convert", "-O", "qcow2", raw, path], { signal });
  await rm(raw);
}

function defaultCacheDirectory(): string {
  const base = process.env["XDG_CACHE_HOME"];
  return join(base === undefined || base === "" ? join(homedir(), ".cache") : base, "polyvisor");
}
