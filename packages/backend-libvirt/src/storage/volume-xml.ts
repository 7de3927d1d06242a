import { attributeOf, childAt, parseXml, textAt } from "../xml/parse-xml.ts";
import { renderXml } from "../xml/render-xml.ts";

/** The XML of a pool of files in a directory. Source: libvirt, "Storage pool XML format". */
export function directoryPoolXml(name: string, path: string): string {
  return renderXml([
    "pool",
    { type: "dir" },
    ["name", {}, name],
    ["target", {}, ["path", {}, path]],
  ]);
}

/** The XML of a pool of files on a file server. */
export function networkPoolXml(
  name: string,
  source: { readonly server: string; readonly export: string; readonly format?: string },
  mountPoint: string,
): string {
  return renderXml([
    "pool",
    { type: "netfs" },
    ["name", {}, name],
    [
      "source",
      {},
      ["host", { name: source.server }],
      ["dir", { path: source.export }],
      ["format", { type: source.format ?? "nfs" }],
    ],
    ["target", {}, ["path", {}, mountPoint]],
  ]);
}

/** The XML of a pool of logical volumes in a volume group that is there. */
export function logicalPoolXml(name: string, volumeGroup: string): string {
  return renderXml([
    "pool",
    { type: "logical" },
    ["name", {}, name],
    ["source", {}, ["name", {}, volumeGroup], ["format", { type: "lvm2" }]],
    ["target", {}, ["path", {}, `/dev/${volumeGroup}`]],
  ]);
}

/** How the content of a volume is kept. */
type VolumeFormat = "raw" | "qcow2";

/** A volume that is wanted. */
export interface VolumePlan {
  readonly name: string;
  readonly sizeBytes: number;
  readonly format: VolumeFormat;
  /** The raw or qcow2 file that shows where the volume has nothing of its own. */
  readonly backing?: { readonly path: string; readonly format: VolumeFormat };
}

/** The XML of a volume that takes up no room until it is written. Source: libvirt, "Storage volume XML format". */
export function volumeXml({ name, sizeBytes, format, backing }: VolumePlan): string {
  return renderXml([
    "volume",
    {},
    ["name", {}, name],
    ["capacity", { unit: "bytes" }, sizeBytes],
    ["allocation", { unit: "bytes" }, 0],
    ["target", {}, ["format", { type: format }]],
    backing && [
      "backingStore",
      {},
      ["path", {}, backing.path],
      ["format", { type: backing.format }],
    ],
  ]);
}

/** What the XML of a volume tells. */
export interface VolumeDescription {
  readonly sizeBytes: number;
  readonly path: string;
  /** `raw` for a block device. */
  readonly format: VolumeFormat;
  readonly backingPath?: string;
}

/** Reads the XML of a volume. */
export function describeVolume(xml: string): VolumeDescription {
  const root = parseXml(xml);
  const backingPath = textAt(root, "backingStore/path");
  const format = attributeOf(childAt(root, "target/format"), "type");
  return {
    sizeBytes: Number(textAt(root, "capacity")),
    path: textAt(root, "target/path") ?? "",
    format: format === "qcow2" ? "qcow2" : "raw",
    ...(backingPath !== undefined && { backingPath }),
  };
}

/** The folder that a pool shows. */
export function poolPath(xml: string): string | undefined {
  return textAt(parseXml(xml), "target/path");
}
