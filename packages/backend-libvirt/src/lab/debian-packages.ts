import { access, readFile } from "node:fs/promises";
import { delimiter, isAbsolute, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { LabError } from "./lab-error.ts";
import {
  lastLines,
  runCommand,
  type CommandResult,
  type RunCommandOptions,
} from "./run-command.ts";

/** One Debian package, named together with a file that tells whether it is there. */
export interface DebianPackageRequirement {
  /** Name of the package in Debian's archive. */
  readonly package: string;
  /** A command that the package brings (looked up on PATH and in the sbin folders), or an absolute path. */
  readonly command: string;
}

/** What {@link requireDebianPackages} needs of the machine; replaced in tests. */
export interface DebianMachine {
  /** Whether something exists at this absolute path. */
  exists(path: string): Promise<boolean>;
  /** The PATH variable. */
  readonly path: string;
  /** Whether this process is root. */
  readonly isRoot: boolean;
  /** Whether the machine has apt and is Debian or made from it. */
  isDebian(): Promise<boolean>;
  /** Runs a program and waits for its end. */
  run(
    command: string,
    commandArguments: readonly string[],
    options?: RunCommandOptions,
  ): Promise<CommandResult>;
}

/** Options of {@link requireDebianPackages}. */
export interface RequireDebianPackagesOptions {
  /** Ends the waiting; an installation that has begun is finished first. */
  readonly signal?: AbortSignal | undefined;
  /** Told in a sentence what goes on. */
  readonly onProgress?: ((message: string) => void) | undefined;
  /** Whether missing packages may be installed (root on Debian only). Default: true. */
  readonly install?: boolean | undefined;
  /** The machine to look at. Default: this one. */
  readonly machine?: DebianMachine | undefined;
}

const SYSTEM_FOLDERS = ["/usr/local/sbin", "/usr/sbin", "/sbin", "/usr/bin", "/bin"];
const LOCK_WAIT_SECONDS = 300;

// Package scripts start services through these two programs only. Hidden behind /bin/true in a mount
// namespace of its own, they do nothing, and the file system of the machine stays as it is.
const INSTALL_WITHOUT_SERVICES = `set -e
for program in /usr/sbin/invoke-rc.d /usr/bin/deb-systemd-invoke; do
  if [ -e "$program" ]; then mount --bind /bin/true "$program"; fi
done
exec "$@"
`;

const APT_ENVIRONMENT = {
  DEBIAN_FRONTEND: "noninteractive",
  NEEDRESTART_SUSPEND: "1",
  LC_ALL: "C.UTF-8",
};

/**
 * Makes sure that commands which Debian packages bring are there, and installs the missing ones.
 *
 * Packages are installed as root on Debian only, without recommended packages, without questions and
 * without starting a service; a lock that another package manager holds is waited for up to 5 minutes.
 *
 * @throws LabError `LAB_PACKAGES_MISSING` with the one command that installs them when that is not
 * possible or not allowed here, `LAB_COMMAND_FAILED` when apt-get fails.
 */
export async function requireDebianPackages(
  requirements: readonly DebianPackageRequirement[],
  options: RequireDebianPackagesOptions = {},
): Promise<void> {
  const { signal, onProgress, install = true, machine = thisMachine() } = options;
  signal?.throwIfAborted();
  const missing = await missingDebianPackages(requirements, machine);
  if (missing.length === 0) return;
  if (!install || !machine.isRoot || !(await machine.isDebian())) {
    throw new LabError(
      "LAB_PACKAGES_MISSING",
      `These Debian packages are missing: ${missing.join(", ")}. Install them with: ${debianInstallCommand(missing)}`,
    );
  }
  onProgress?.(`Installing ${missing.join(", ")}`);
  await updatePackageLists({ signal, machine });
  await installPackages(missing, machine);
  signal?.throwIfAborted();
  const stillMissing = await missingDebianPackages(requirements, machine);
  if (stillMissing.length > 0) {
    throw new LabError(
      "LAB_PACKAGES_MISSING",
      `${stillMissing.join(", ")} was installed but did not bring the expected command or file.`,
    );
  }
}

/** Names of the packages whose command or file is not there, each once, in the order given. */
export async function missingDebianPackages(
  requirements: readonly DebianPackageRequirement[],
  machine: Pick<DebianMachine, "exists" | "path"> = thisMachine(),
): Promise<readonly string[]> {
  const missing = new Set<string>();
  for (const requirement of requirements) {
    const candidates = commandCandidates(requirement.command, machine.path);
    const found = await Promise.all(candidates.map((path) => machine.exists(path)));
    if (!found.includes(true)) missing.add(requirement.package);
  }
  return [...missing];
}

/** The one command line that a person types to install packages. */
export function debianInstallCommand(packages: readonly string[]): string {
  return `sudo sh -c 'apt-get update && apt-get install --yes --no-install-recommends ${packages.join(" ")}'`;
}

/** Renews apt's package lists; waits for another package manager that holds their lock. */
export async function updatePackageLists(
  options: { readonly signal?: AbortSignal | undefined; readonly machine?: DebianMachine } = {},
): Promise<void> {
  const { signal, machine = thisMachine() } = options;
  const deadline = Date.now() + LOCK_WAIT_SECONDS * 1000;
  for (;;) {
    const result = await machine.run("apt-get", ["update", "--quiet"], {
      signal,
      environment: { ...process.env, ...APT_ENVIRONMENT },
    });
    if (result.exitCode === 0) return;
    // DPkg::Lock::Timeout does not cover the lock of the lists.
    if (!/could not get lock/i.test(result.stderr) || Date.now() > deadline) {
      throw new LabError("LAB_COMMAND_FAILED", `apt-get update failed: ${result.stderr.trim()}`);
    }
    await sleep(1000, undefined, { signal });
  }
}

function commandCandidates(command: string, path: string): readonly string[] {
  if (isAbsolute(command)) return [command];
  const folders = new Set([
    ...path.split(delimiter).filter((folder) => folder !== ""),
    ...SYSTEM_FOLDERS,
  ]);
  return [...folders].map((folder) => join(folder, command));
}

// Not abortable: an installation that is killed half way leaves dpkg's database to be repaired by hand.
async function installPackages(packages: readonly string[], machine: DebianMachine): Promise<void> {
  const result = await machine.run(
    "unshare",
    [
      "--mount",
      "--",
      "/bin/sh",
      "-c",
      INSTALL_WITHOUT_SERVICES,
      "sh",
      "apt-get",
      "install",
      "--yes",
      "--quiet",
      "--no-install-recommends",
      "-o",
      `DPkg::Lock::Timeout=${LOCK_WAIT_SECONDS}`,
      "-o",
      "Dpkg::Options::=--force-confdef",
      "-o",
      "Dpkg::Options::=--force-confold",
      ...packages,
    ],
    { environment: { ...process.env, ...APT_ENVIRONMENT } },
  );
  if (result.exitCode !== 0) {
    throw new LabError(
      "LAB_COMMAND_FAILED",
      `apt-get install failed with status ${result.exitCode}: ${lastLines(result.stderr, 20)}`,
    );
  }
}

function thisMachine(): DebianMachine {
  return {
    exists: (path) =>
      access(path).then(
        () => true,
        () => false,
      ),
    path: process.env["PATH"] ?? "",
    isRoot: process.getuid?.() === 0,
    isDebian: async () => {
      const release = await readFile("/etc/os-release", "utf8").catch(() => "");
      return /^ID(_LIKE)?=.*\bdebian\b/m.test(release);
    },
    run: runCommand,
  };
}
