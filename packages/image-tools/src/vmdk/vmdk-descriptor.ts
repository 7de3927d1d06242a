import { vmdkErrors } from "./vmdk-header.ts";

/** Largest descriptor that is read. */
export const MAX_DESCRIPTOR_BYTES: number = 1024 * 1024;

const MAX_EXTENTS = 16 * 1024;

/** One line of the extent list. */
export interface VmdkExtent {
  readonly type: "flat" | "sparse" | "zero";
  readonly sectors: number;
  /** Empty for `zero`. */
  readonly name: string;
  /** In sectors, for `flat`. */
  readonly offset: number;
}

/** What a descriptor says. */
export interface VmdkDescriptor {
  readonly createType: string;
  readonly extents: readonly VmdkExtent[];
}

/**
 * Reads a descriptor. Refuses disks that hold only differences, and file names that could lead
 * elsewhere.
 *
 * @see VMware Virtual Disk Format 5.0, "The Descriptor File"
 */
export function parseVmdkDescriptor(bytes: Buffer): VmdkDescriptor {
  const end = bytes.indexOf(0);
  const text = bytes.toString("utf8", 0, end === -1 ? bytes.length : end);
  const values = new Map<string, string>();
  const extents: VmdkExtent[] = [];
  for (const raw of text.split(/\r?\n/)) {
    const line = raw.trim();
    if (line === "" || line.startsWith("#")) continue;
    if (/^(RW|RDONLY|NOACCESS)\s/.test(line)) {
      if (extents.length === MAX_EXTENTS) throw vmdkErrors.tooLarge("it has too many extents");
      extents.push(parseExtent(line));
      continue;
    }
    const [, key = "", value = ""] = /^([\w.]+)\s*=\s*"?(.*?)"?$/.exec(line) ?? [];
    if (key !== "") values.set(key.toLowerCase(), value);
  }
  const parent = values.get("parentcid");
  const hasParent = parent !== undefined && parent.toLowerCase() !== "ffffffff";
  if (hasParent || values.has("parentfilenamehint")) {
    throw vmdkErrors.unsafe("it holds only the differences to another image; merge them first");
  }
  return { createType: values.get("createtype") ?? "", extents };
}

function parseExtent(line: string): VmdkExtent {
  const match = /^\w+\s+(\d+)\s+(\w+)(?:\s+"([^"]*)"(?:\s+(\d+))?)?/.exec(line);
  const [, sectors = "", type = "", name = "", offset = "0"] = match ?? [];
  const extent: VmdkExtent = {
    type: extentType(type),
    sectors: Number(sectors),
    name,
    offset: Number(offset),
  };
  const isSafe =
    match !== null && Number.isSafeInteger(extent.sectors) && Number.isSafeInteger(extent.offset);
  if (!isSafe) throw vmdkErrors.corrupt("an extent line cannot be read");
  if (extent.type !== "zero" && !isPlainName(name)) {
    throw vmdkErrors.unsafe("an extent names a file outside of its folder");
  }
  return extent;
}

function extentType(type: string): VmdkExtent["type"] {
  switch (type) {
    case "FLAT":
    case "VMFS":
      return "flat";
    case "SPARSE":
      return "sparse";
    case "ZERO":
      return "zero";
    default:
      throw vmdkErrors.unsupported(`its extents are of type ${type.slice(0, 20)}`);
  }
}

function isPlainName(name: string): boolean {
  return name !== "" && name !== "." && name !== ".." && !/[/\\\0:]/.test(name);
}
