import {
  chmod,
  cp,
  mkdir,
  mkdtemp,
  readdir,
  realpath,
  rm,
  symlink,
  writeFile,
} from "node:fs/promises";
import { randomUUID } from "node:crypto";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { embeddedHostFiles } from "./embedded-host-configuration.ts";
import type { HostLink } from "./host-link.ts";
import { LabError } from "./lab-error.ts";

const SUBDIRECTORIES = [
  "etc",
  "etc/qemu",
  "etc/qemu/networks",
  "run",
  "run/libvirt",
  // /var/lock leads here; libvirt keeps the locks of open consoles in it.
  "run/lock",
  "lib",
  "var",
  "var/lib",
  "cache",
  "log",
  "dev",
];

/** Folders that look different inside a host, so that a path below them would not lead to its directory. */
const HIDDEN_FOLDERS = [
  "/dev",
  "/proc",
  "/run",
  "/sys",
  "/etc/libvirt",
  "/var/lib/libvirt",
  "/var/cache/libvirt",
  "/var/log/libvirt",
];

// sockaddr_un.sun_path is 108 bytes with its terminating zero (unix(7)).
const MAXIMUM_SOCKET_PATH_BYTES = 107;

/** Path of the daemon's socket in a host's directory. */
export function daemonSocketPath(directory: string): string {
  return join(directory, "run/libvirt/libvirt-sock");
}

/**
 * Makes and fills the directory of a host.
 *
 * @throws LabError `LAB_INVALID` when the directory is not empty, lies in a place that is hidden inside
 * the host, or is too long for the path of a socket.
 */
export async function createHostDirectory(
  name: string,
  requested: string | undefined,
  link?: HostLink,
): Promise<string> {
  const directory =
    requested === undefined
      ? await mkdtemp(join(await realpath(tmpdir()), "polyvisor-host-"))
      : await claimDirectory(resolve(requested));
  try {
    checkHostDirectory(directory);
    await chmod(directory, 0o700);
    for (const subdirectory of SUBDIRECTORIES) {
      const path = join(directory, subdirectory);
      await mkdir(path);
      // Services that give up root (dnsmasq) must get through, whatever the umask is.
      await chmod(path, 0o755);
    }
    // So that below the directory, too, sockets of guests are found where libvirt says that they are.
    await symlink("../../lib", join(directory, "var/lib/libvirt"));
    await cp("/etc/libvirt/nwfilter", join(directory, "etc/nwfilter"), { recursive: true });
    for (const [path, content] of embeddedHostFiles({ name, uuid: randomUUID(), link })) {
      await writeFile(join(directory, path), content);
    }
  } catch (error) {
    await rm(directory, { recursive: true, force: true });
    throw error;
  }
  return directory;
}

function checkHostDirectory(directory: string): void {
  const hidden = HIDDEN_FOLDERS.find((folder) => `${directory}/`.startsWith(`${folder}/`));
  if (hidden !== undefined) {
    throw new LabError(
      "LAB_INVALID",
      `The directory of a host may not lie below ${hidden}: give another directory, or set TMPDIR to another one.`,
    );
  }
  if (Buffer.byteLength(daemonSocketPath(directory)) > MAXIMUM_SOCKET_PATH_BYTES) {
    throw new LabError(
      "LAB_INVALID",
      `${directory} is too long for the path of a socket (${MAXIMUM_SOCKET_PATH_BYTES} bytes): give a shorter directory.`,
    );
  }
}

async function claimDirectory(directory: string): Promise<string> {
  await mkdir(dirname(directory), { recursive: true });
  await mkdir(directory).catch(async (error: NodeJS.ErrnoException) => {
    if (error.code !== "EEXIST") throw error;
    if ((await readdir(directory)).length > 0) {
      throw new LabError(
        "LAB_INVALID",
        `The directory of a host must be new or empty: ${directory}`,
      );
    }
  });
  return realpath(directory);
}
