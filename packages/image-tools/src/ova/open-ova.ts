import { DigestInPassing } from "../digest/digest-in-passing.ts";
import { checksumVerifier, type Checksums } from "../http/checksum.ts";
import { ImageError } from "../image-error.ts";
import { resolveImageLimits, type ImageLimits } from "../image-limits.ts";
import type { RandomAccessReader } from "../io/random-access-reader.ts";
import type { OvfDescription } from "../ovf/ovf-description.ts";
import { memberName } from "../tar/walk-tar.ts";
import { openTar, type TarArchive } from "../tar/open-tar.ts";
import { parseOvf } from "../ovf/parse-ovf.ts";
import type { ImageSource } from "../source/open-source.ts";
import { readInOrder } from "../source/sub-reader.ts";
import { parseManifest } from "./ova-manifest.ts";
import { findOvaParts } from "./ova-parts.ts";
import { openOvaFile, ovaFileMembers } from "./ova-file.ts";

const MAX_DESCRIPTOR_BYTES = 1024 * 1024;

/** Options of {@link openOva}. */
export interface OpenOvaOptions {
  /** Limits the expansion of compressed members. */
  readonly limits?: ImageLimits | undefined;
  /** Ends opening with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}

/** A virtual machine packed in one tar file. Disposing it disposes the reader. */
export interface Ova extends AsyncDisposable {
  readonly description: OvfDescription;
  /** Whether the package has a manifest. */
  readonly hasManifest: boolean;
  /** The disks that have content. */
  readonly disks: readonly OvaDisk[];
  /**
   * Reads all members that the manifest names and compares their digests. Do this before the
   * content is used for good; without a manifest it does nothing.
   *
   * @throws ImageError `IMAGE_CHECKSUM_MISMATCH`; `IMAGE_CORRUPT` when the manifest names a member
   * that is missing.
   */
  verify(options?: VerifyOvaOptions): Promise<void>;
}

/** Options of {@link Ova.verify}. */
export interface VerifyOvaOptions {
  /** Members that are verified elsewhere. */
  readonly except?: readonly string[] | undefined;
  /** Ends verifying with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}

/** A disk of a package. */
export interface OvaDisk {
  /** Its id in the description. */
  readonly id: string;
  /** The member, or the beginning of the names of its chunks. */
  readonly fileName: string;
  /** All of its members. */
  readonly members: readonly string[];
  readonly capacityBytes?: number;
  /**
   * Opens the image of the disk as it was before it was packed: for reading at random, or in order
   * when the member is compressed.
   *
   * @throws ImageError `IMAGE_UNSUPPORTED` for a compression other than gzip.
   */
  open(): ImageSource;
  /** As {@link open}, and takes the digests of the members while they are read. */
  openVerified(): VerifiedOvaDisk;
}

/** A disk whose members are verified in passing. */
export interface VerifiedOvaDisk {
  readonly source: ImageSource;
  /**
   * Reads what of the members was not read, and compares their digests with the manifest.
   *
   * @throws ImageError `IMAGE_CHECKSUM_MISMATCH`.
   */
  verify(options?: { readonly signal?: AbortSignal | undefined }): Promise<void>;
}

/**
 * Opens an OVA in place: nothing is extracted. The descriptor is verified against the manifest at
 * once, the disks by {@link Ova.verify}.
 *
 * @throws ImageError `IMAGE_CORRUPT` without exactly one descriptor at the top, or when a file that
 * it names is missing or has another size; `IMAGE_UNSAFE` for links, devices, names that are there
 * twice or lead outside; `IMAGE_UNSUPPORTED` for sparse members; `IMAGE_CHECKSUM_MISMATCH`; and as
 * `parseOvf` and `openTar` do. The reader is left open then.
 * @see DSP0243, clause 5.3
 */
export async function openOva(
  reader: RandomAccessReader,
  options: OpenOvaOptions = {},
): Promise<Ova> {
  const { signal } = options;
  const limits = resolveImageLimits(options.limits);
  const tar = await openTar(reader, { signal });
  const { descriptorName, manifestName } = findOvaParts(tar.members);
  const descriptor = await readSmall(tar, descriptorName);
  const manifest =
    manifestName === undefined ? undefined : parseManifest(await readSmall(tar, manifestName));
  const checksums = new Map<string, Checksums>();
  for (const [name, entries] of manifest ?? []) {
    const digests = entries.map(({ algorithm, digest }) => [algorithm, digest] as const);
    checksums.set(memberName(name), Object.fromEntries(digests));
  }
  const verifier = checksumVerifier(checksums.get(descriptorName) ?? {});
  verifier.update(descriptor);
  verifier.verify(`"${descriptorName}"`);

  const description = await parseOvf(descriptor);
  const disks: OvaDisk[] = [];
  for (const { id, fileId, capacityBytes } of description.disks) {
    const file = description.files.find((candidate) => candidate.id === fileId);
    if (file === undefined) continue;
    const members = ovaFileMembers(tar, file);
    disks.push({
      id,
      fileName: file.href,
      members,
      ...(capacityBytes === undefined ? {} : { capacityBytes }),
      open: () =>
        openOvaFile(
          members.map((name) => tar.open(name)),
          file,
          limits,
        ),
      openVerified: () => {
        const passing = members.map((name) => digestMember(tar, name, checksums.get(name) ?? {}));
        return {
          source: openOvaFile(
            passing.map(({ reader }) => reader),
            file,
            limits,
          ),
          verify: async (verifyOptions = {}) => {
            for (const { verify } of passing) await verify(verifyOptions.signal);
          },
        };
      },
    });
  }
  return {
    description,
    hasManifest: manifest !== undefined,
    disks,
    verify: async (verifyOptions = {}) => {
      for (const [name, expected] of checksums) {
        if (verifyOptions.except?.includes(name) === true) continue;
        await verifyMember(tar, name, expected, verifyOptions.signal);
      }
    },
    [Symbol.asyncDispose]: () => reader[Symbol.asyncDispose](),
  };
}

interface DigestedMember {
  readonly reader: RandomAccessReader;
  readonly verify: (signal: AbortSignal | undefined) => Promise<void>;
}

function digestMember(tar: TarArchive, name: string, expected: Checksums): DigestedMember {
  const verifier = checksumVerifier(expected);
  const passing = new DigestInPassing(tar.open(name), (bytes) => verifier.update(bytes));
  const isListed = Object.keys(expected).length > 0;
  return {
    reader: isListed ? passing.reader : tar.open(name),
    verify: async (signal) => {
      if (!isListed) return;
      await passing.finish(signal);
      verifier.verify(`"${name}"`);
    },
  };
}

async function readSmall(tar: TarArchive, name: string): Promise<Buffer> {
  const member = tar.open(name);
  if (member.sizeBytes > MAX_DESCRIPTOR_BYTES) {
    throw new ImageError("IMAGE_TOO_LARGE", `"${name}" of the OVA is longer than 1 MiB`);
  }
  return member.read(0, member.sizeBytes);
}

async function verifyMember(
  tar: TarArchive,
  name: string,
  expected: Checksums,
  signal: AbortSignal | undefined,
): Promise<void> {
  if (!tar.members.some((member) => member.name === name)) {
    throw new ImageError(
      "IMAGE_CORRUPT",
      `the manifest of the OVA names "${name}", which is missing`,
    );
  }
  const verifier = checksumVerifier(expected);
  for await (const chunk of readInOrder(tar.open(name), signal)) verifier.update(chunk);
  verifier.verify(`"${name}"`);
}
