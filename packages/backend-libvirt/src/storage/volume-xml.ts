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

/** The XML of a raw volume that takes up no room until it is written. Source: libvirt, "Storage volume XML format". */
export function rawVolumeXml(name: string, sizeBytes: number): string {
  return renderXml([
    "volume",
    {},
    ["name", {}, name],
    ["capacity", { unit: "bytes" }, sizeBytes],
    ["allocation", { unit: "bytes" }, 0],
    ["target", {}, ["format", { type: "raw" }]],
  ]);
}
