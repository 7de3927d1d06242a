import { ImageError } from "../image-error.ts";
import type { RandomAccessReader } from "../io/random-access-reader.ts";
import { isDescriptorName } from "../ova/ova-parts.ts";
import { parseOvf } from "../ovf/parse-ovf.ts";
import { subReader } from "../source/sub-reader.ts";
import { walkTar, type TarMember } from "../tar/walk-tar.ts";
import type { ImageReport } from "./image-report.ts";

const MAX_DESCRIPTOR_BYTES = 1024 * 1024;

/** What a tar archive turned out to be. */
export type InspectedArchive =
  | { readonly kind: "report"; readonly report: Omit<ImageReport, "wrappers" | "storedBytes"> }
  | { readonly kind: "oci" }
  | { readonly kind: "image"; readonly reader: RandomAccessReader };

/**
 * Describes an archive by its first members: an OVA by its descriptor, an OCI layout by its mark,
 * another archive by the one file that it holds.
 *
 * @throws ImageError as `walkTar`, `parseOvf` and reading do; `IMAGE_UNRECOGNISED` for archives of
 * anything else; `BudgetExceeded` when none of it can be told.
 */
export async function inspectArchive(
  reader: RandomAccessReader,
  signal: AbortSignal | undefined,
): Promise<InspectedArchive> {
  const files: TarMember[] = [];
  for await (const member of walkTar(reader, { signal })) {
    if (member.type === "directory") continue;
    if (member.type !== "file") {
      throw new ImageError("IMAGE_UNSAFE", `"${member.name}" of the archive is a ${member.type}`);
    }
    if (isDescriptorName(member.name)) return describeOva(reader, member);
    if (member.name === "oci-layout" || member.name === "index.json") {
      return { kind: "oci" };
    }
    files.push(member);
  }
  const [file] = files;
  if (file === undefined || files.length > 1) {
    throw new ImageError(
      "IMAGE_UNRECOGNISED",
      "the tar archive is neither an OVA nor an OCI image, and not a single disk image either",
    );
  }
  return { kind: "image", reader: subReader(reader, file.offset, file.sizeBytes) };
}

const EMPTY = { cdrom: false, boot: { bios: false, uefi: false }, warnings: [] } as const;

async function describeOva(
  reader: RandomAccessReader,
  member: TarMember,
): Promise<InspectedArchive> {
  if (member.sizeBytes > MAX_DESCRIPTOR_BYTES) {
    throw new ImageError("IMAGE_TOO_LARGE", "the OVF descriptor of the OVA is longer than 1 MiB");
  }
  const description = await parseOvf(await reader.read(member.offset, member.sizeBytes));
  const withContent = description.disks.filter(({ fileId }) => fileId !== undefined);
  const sizes = withContent.map(({ capacityBytes }) => capacityBytes);
  const total = sizes.reduce((sum, size) => (sum ?? 0) + (size ?? Number.NaN), 0) ?? 0;
  const [system] = description.systems;
  const count =
    withContent.length === 1 ? [] : [`the OVA has ${withContent.length} disks with content`];
  return {
    kind: "report",
    report: {
      ...EMPTY,
      format: "ova",
      ...(Number.isSafeInteger(total) ? { virtualSizeBytes: total } : {}),
      boot: { bios: system?.firmware === "bios", uefi: system?.firmware === "efi" },
      warnings: [...description.warnings, ...count],
    },
  };
}
