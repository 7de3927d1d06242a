import type { GuestDisk } from "@polyvisor/core";
import { type Document, type Element, XMLSerializer } from "@xmldom/xmldom";
import { attributeOf, childAt, childrenOf, parseXml, textAt } from "../xml/parse-xml.ts";
import {
  MIGRATION_NAMESPACE,
  MIGRATION_PREFIX,
  type MigrationMark,
  migrationElement,
} from "./migration-mark.ts";

/** A disk or CD-ROM of a domain, as a migration has to deal with it. */
export interface DiskToMove {
  readonly target: string;
  readonly serial: string | undefined;
  readonly path: string;
  readonly readOnly: boolean;
}

/** An interface of a domain on a network of its host. */
export interface InterfaceToMove {
  readonly network: string;
  readonly mac: string;
}

/** Reads what of a domain is bound to its host. */
export function readWhatMoves(xml: string): {
  readonly disks: readonly DiskToMove[];
  readonly interfaces: readonly InterfaceToMove[];
} {
  const devices = childAt(parseXml(xml), "devices");
  return {
    disks: childrenOf(devices, "disk").flatMap((disk) => {
      const path = sourcePath(disk);
      const target = attributeOf(childAt(disk, "target"), "dev");
      if (path === undefined || target === undefined) return [];
      const readOnly = childAt(disk, "readonly") !== undefined;
      return [{ target, path, readOnly, serial: textAt(disk, "serial") }];
    }),
    interfaces: childrenOf(devices, "interface").flatMap((element) => {
      const network = attributeOf(childAt(element, "source"), "network");
      const mac = attributeOf(childAt(element, "mac"), "address");
      return network === undefined || mac === undefined ? [] : [{ network, mac }];
    }),
  };
}

/** The XML of a domain as the target is to have it: disks where they are there, with the mark of the migration. */
export function destinationXml(
  xml: string,
  sources: ReadonlyMap<string, GuestDisk["source"]>,
  mark: MigrationMark,
): string {
  const root = parseXml(xml);
  for (const disk of childrenOf(childAt(root, "devices"), "disk")) {
    const source = sources.get(attributeOf(childAt(disk, "target"), "dev") ?? "");
    if (source) setSource(disk, source);
  }
  setMark(root, mark);
  return new XMLSerializer().serializeToString(root, { requireWellFormed: true });
}

function sourcePath(disk: Element): string | undefined {
  const source = childAt(disk, "source");
  return attributeOf(source, "file") ?? attributeOf(source, "dev");
}

function setSource(disk: Element, source: GuestDisk["source"]): void {
  if (source.type === "claim") {
    throw new TypeError("libvirt hosts take no claims: they are not in the capabilities");
  }
  // What is known of the layers below belongs to the source.
  for (const name of ["source", "backingStore", "mirror"]) {
    for (const element of childrenOf(disk, name)) disk.removeChild(element);
  }
  const document = documentOf(disk);
  const element = document.createElement("source");
  element.setAttribute(source.type === "file" ? "file" : "dev", source.path);
  disk.appendChild(element);
  disk.setAttribute("type", source.type);
  childAt(disk, "driver")?.setAttribute("type", source.type === "file" ? source.format : "raw");
}

function setMark(root: Element, mark: MigrationMark): void {
  const document = documentOf(root);
  const metadata = childAt(root, "metadata") ?? document.createElement("metadata");
  if (metadata.parentNode === null) root.appendChild(metadata);
  for (const element of childrenOf(metadata, "migration")) {
    if (element.namespaceURI === MIGRATION_NAMESPACE) metadata.removeChild(element);
  }
  const [name, attributes] = migrationElement(mark, MIGRATION_PREFIX);
  const element = document.createElementNS(MIGRATION_NAMESPACE, name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value !== undefined && !key.startsWith("xmlns")) element.setAttribute(key, String(value));
  }
  metadata.appendChild(element);
}

function documentOf(element: Element): Document {
  if (element.ownerDocument) return element.ownerDocument;
  throw new TypeError("the element belongs to no document");
}
