import {
  resolveDebianPackages,
  resolveNewestDebianPackages,
  type DebianPackage,
} from "../../src/lab/debian-archive.ts";

/** Packages of Debian's archive, also on a machine that has no package lists yet. */
export async function resolvePackages(
  names: readonly string[],
  follow: (name: string) => boolean,
): Promise<readonly DebianPackage[]> {
  return resolveDebianPackages(names, { follow }).catch(() =>
    resolveNewestDebianPackages(names, { follow }),
  );
}
