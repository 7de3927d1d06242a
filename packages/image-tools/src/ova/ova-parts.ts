import { ImageError } from "../image-error.ts";
import type { TarMember } from "../tar/walk-tar.ts";

/** The members that describe a package. */
export interface OvaParts {
  readonly descriptorName: string;
  readonly manifestName: string | undefined;
}

/**
 * Finds the descriptor and its manifest, and refuses members that a package cannot have.
 *
 * @throws ImageError `IMAGE_CORRUPT` unless there is exactly one descriptor; `IMAGE_UNSAFE`,
 * `IMAGE_UNSUPPORTED`.
 */
export function findOvaParts(members: readonly TarMember[]): OvaParts {
  const names = new Set<string>();
  for (const { name, type } of members) {
    if (type === "directory") continue;
    if (type === "sparse") {
      throw new ImageError("IMAGE_UNSUPPORTED", `"${name}" of the OVA is a sparse tar member`);
    }
    if (type !== "file") {
      throw new ImageError("IMAGE_UNSAFE", `"${name}" of the OVA is a ${type} and not a file`);
    }
    if (names.has(name)) {
      throw new ImageError("IMAGE_UNSAFE", `the OVA has "${name}" more than once`);
    }
    names.add(name);
  }
  const descriptors = [...names].filter(isDescriptorName);
  const [descriptorName] = descriptors;
  if (descriptorName === undefined || descriptors.length > 1) {
    throw new ImageError(
      "IMAGE_CORRUPT",
      `an OVA has one OVF descriptor; this archive has ${descriptors.length}`,
    );
  }
  const manifestName = descriptorName.replace(/\.ovf$/i, ".mf");
  return { descriptorName, manifestName: names.has(manifestName) ? manifestName : undefined };
}

/** Whether a member is an OVF descriptor, by its name. */
export function isDescriptorName(name: string): boolean {
  return /\.ovf$/i.test(name) && !name.includes("/");
}
