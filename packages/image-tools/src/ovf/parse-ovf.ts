import type { Element } from "@xmldom/xmldom";
import { ImageError } from "../image-error.ts";
import type { OvfDescription, OvfDisk, OvfFile, OvfNetwork } from "./ovf-description.ts";
import { confinedHref } from "./ovf-href.ts";
import { defaultConfiguration, parseSystems } from "./ovf-systems.ts";
import { parseCount, quantityBytes } from "./ovf-units.ts";
import { attributeOf, childrenOf, childText, parseEnvelope, sectionsOf } from "./ovf-xml.ts";

/**
 * Reads an OVF descriptor of version 0.9, 1 or 2, in the dialects of VMware, VirtualBox, oVirt
 * and others. Unknown sections and extensions are passed over.
 *
 * @param bytes - The whole descriptor, at most 1 MiB.
 * @throws ImageError `IMAGE_CORRUPT` for what is no OVF, or numbers that are none; `IMAGE_UNSAFE`
 * for a document type, references out of the package and ids that stand for two things;
 * `IMAGE_TOO_LARGE` for a longer descriptor or sizes past 2^53.
 * @see DSP0243, Open Virtualization Format Specification
 */
export async function parseOvf(bytes: Uint8Array): Promise<OvfDescription> {
  const envelope = await parseEnvelope(bytes);
  const warnings: string[] = [];
  const configuration = defaultConfiguration(envelope);
  const { systems, properties } = parseSystems(envelope, configuration, warnings);
  const files = childrenOf(envelope, "References")
    .flatMap((references) => childrenOf(references, "File"))
    .map(parseFile);
  const disks = sectionsOf(envelope, "DiskSection")
    .flatMap((section) => childrenOf(section, "Disk"))
    .map((disk) => parseDisk(disk, files, properties, warnings));
  requireUnique("file", files);
  requireUnique("disk", disks);
  return {
    version: versionOf(envelope),
    files,
    disks,
    networks: sectionsOf(envelope, "NetworkSection")
      .flatMap((section) => childrenOf(section, "Network"))
      .map(parseNetwork),
    systems,
    warnings,
  };
}

function versionOf(envelope: Element): OvfDescription["version"] {
  const namespace = envelope.namespaceURI ?? "";
  if (/envelope\/2/.test(namespace)) return "2";
  return /envelope\/1/.test(namespace) ? "1" : "0.9";
}

function parseFile(file: Element): OvfFile {
  const id = requiredAttribute(file, "id", "a file");
  const size = attributeOf(file, "size");
  const chunkSize = attributeOf(file, "chunkSize");
  const compression = attributeOf(file, "compression");
  const chunkSizeBytes = chunkSize === undefined ? 0 : parseCount(chunkSize, "a chunk size");
  return {
    id,
    href: confinedHref(requiredAttribute(file, "href", "a file")),
    ...(size === undefined ? {} : { sizeBytes: parseCount(size, `the size of file "${id}"`) }),
    ...(compression === undefined || compression === "identity" ? {} : { compression }),
    ...(chunkSizeBytes === 0 ? {} : { chunkSizeBytes }),
  };
}

function parseDisk(
  disk: Element,
  files: readonly OvfFile[],
  properties: ReadonlyMap<string, string>,
  warnings: string[],
): OvfDisk {
  const id = requiredAttribute(disk, "diskId", "a disk");
  const fileRef = attributeOf(disk, "fileRef");
  const format = attributeOf(disk, "format");
  const parentId = attributeOf(disk, "parentRef");
  const capacity = capacityOf(disk, id, properties, warnings);
  return {
    id,
    ...(fileRef === undefined ? {} : { fileId: resolveFile(fileRef, id, files) }),
    ...(capacity === undefined ? {} : { capacityBytes: capacity }),
    ...(format === undefined ? {} : { format }),
    ...(parentId === undefined ? {} : { parentId }),
  };
}

// oVirt's storage domains name the path of the file where others name its id.
function resolveFile(reference: string, diskId: string, files: readonly OvfFile[]): string {
  const file =
    files.find(({ id }) => id === reference) ?? files.find(({ href }) => href === reference);
  if (file !== undefined) return file.id;
  throw new ImageError(
    "IMAGE_CORRUPT",
    `disk "${diskId}" of the OVF descriptor names a file that is not in its references`,
  );
}

function capacityOf(
  disk: Element,
  id: string,
  properties: ReadonlyMap<string, string>,
  warnings: string[],
): number | undefined {
  const text = attributeOf(disk, "capacity");
  if (text === undefined) return undefined;
  const [, property] = /^\$\{(.+)\}$/.exec(text.trim()) ?? [];
  const capacity = property === undefined ? text : properties.get(property);
  if (capacity === undefined) {
    warnings.push(`the capacity of disk "${id}" is left to the property "${property}"`);
    return undefined;
  }
  const units = attributeOf(disk, "capacityAllocationUnits") ?? "byte";
  return quantityBytes(capacity, units, `the capacity of disk "${id}"`);
}

function parseNetwork(network: Element): OvfNetwork {
  const description = childText(network, "Description");
  return {
    name: attributeOf(network, "name") ?? "",
    ...(description === undefined ? {} : { description }),
  };
}

function requiredAttribute(element: Element, name: string, subject: string): string {
  const value = attributeOf(element, name);
  if (value !== undefined) return value;
  throw new ImageError("IMAGE_CORRUPT", `${subject} of the OVF descriptor has no ${name}`);
}

function requireUnique(kind: string, things: readonly { readonly id: string }[]): void {
  const ids = new Set<string>();
  for (const { id } of things) {
    if (ids.has(id)) {
      throw new ImageError("IMAGE_UNSAFE", `the OVF descriptor has ${kind} "${id}" twice`);
    }
    ids.add(id);
  }
}
