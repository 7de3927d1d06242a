import { mkdir, mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { updatePackageLists } from "./debian-packages.ts";
import { LabError } from "./lab-error.ts";
import { runChecked } from "./run-command.ts";

/** The version of a package that apt would install now. */
export interface DebianPackage {
  readonly name: string;
  readonly version: string;
  /** Names of the packages that it needs; the first of alternatives. */
  readonly dependencies: readonly string[];
}

/** Which packages {@link resolveDebianPackages} adds to those asked for. */
export interface DebianResolution {
  readonly signal?: AbortSignal | undefined;
  /** Whether a dependency of a package is followed. */
  readonly follow: (dependency: string) => boolean;
}

/** Packages and what they depend on, as far as `follow` goes, by name in alphabetical order. */
export async function resolveDebianPackages(
  names: readonly string[],
  options: DebianResolution,
): Promise<readonly DebianPackage[]> {
  // apt's own cache of its lists may be switched off on a machine; without one, each question takes long.
  const cache = await mkdtemp(join(tmpdir(), "polyvisor-apt-"));
  try {
    return await resolvePackages(names, options, [
      "-o",
      `Dir::Cache::pkgcache=${join(cache, "pkgcache.bin")}`,
      "-o",
      `Dir::Cache::srcpkgcache=${join(cache, "srcpkgcache.bin")}`,
    ]);
  } finally {
    await rm(cache, { recursive: true, force: true });
  }
}

/** Like {@link resolveDebianPackages}; renews the package lists first, which needs root. */
export async function resolveNewestDebianPackages(
  names: readonly string[],
  options: DebianResolution,
): Promise<readonly DebianPackage[]> {
  await updatePackageLists({ signal: options.signal });
  return resolveDebianPackages(names, options);
}

async function resolvePackages(
  names: readonly string[],
  options: DebianResolution,
  aptOptions: readonly string[],
): Promise<readonly DebianPackage[]> {
  const found = new Map<string, DebianPackage>();
  let pending = names;
  while (pending.length > 0) {
    const { stdout } = await runChecked(
      "apt-cache",
      [...aptOptions, "show", "--no-all-versions", ...pending],
      { signal: options.signal, environment: { ...process.env, LC_ALL: "C.UTF-8" } },
    );
    for (const entry of parsePackages(stdout)) found.set(entry.name, entry);
    const missing = pending.filter((name) => !found.has(name));
    if (missing.length > 0) {
      throw new LabError(
        "LAB_COMMAND_FAILED",
        `apt knows no package ${missing.join(", ")}: renew its lists with apt-get update.`,
      );
    }
    const dependencies = [...found.values()].flatMap((entry) => entry.dependencies);
    pending = [...new Set(dependencies)].filter((name) => options.follow(name) && !found.has(name));
  }
  return [...found.values()].sort((left, right) => (left.name < right.name ? -1 : 1));
}

/** Reads the stanzas that `apt-cache show` prints (deb822(5)). */
export function parsePackages(text: string): readonly DebianPackage[] {
  return text.split(/\n\s*\n/).flatMap((stanza) => {
    const field = (key: string): string | undefined =>
      new RegExp(`^${key}: (.*)$`, "m").exec(stanza)?.[1]?.trim();
    const [name, version] = [field("Package"), field("Version")];
    if (name === undefined || version === undefined) return [];
    const dependencies = [field("Pre-Depends"), field("Depends")]
      .flatMap((list) => list?.split(",") ?? [])
      .flatMap((alternatives) => /^\s*([a-z0-9][a-z0-9+.-]+)/.exec(alternatives)?.[1] ?? []);
    return [{ name, version, dependencies }];
  });
}

/** Downloads packages, with apt's check of their integrity, and unpacks all of them into one folder. */
export async function unpackDebianPackages(
  packages: readonly DebianPackage[],
  directory: string,
  options: { readonly downloads: string; readonly signal?: AbortSignal | undefined },
): Promise<void> {
  const { downloads, signal } = options;
  await Promise.all([mkdir(directory, { recursive: true }), mkdir(downloads, { recursive: true })]);
  const exact = packages.map(({ name, version }) => `${name}=${version}`);
  // apt's own unprivileged user could not write into a private folder.
  const apt = ["--quiet", "-o", "APT::Sandbox::User=root", "download", ...exact];
  await runChecked("apt-get", apt, { directory: downloads, signal });
  const archives = (await readdir(downloads)).filter((file) => file.endsWith(".deb"));
  for (const archive of archives) {
    await runChecked("dpkg-deb", ["--extract", join(downloads, archive), directory], { signal });
  }
}
