import { hasBytesAt, signature, type Detector, type DetectorMatch } from "./detector.ts";

const strong = (format: string): DetectorMatch => ({ format, strength: "strong" });

// A text descriptor is recognised as its most lenient reader does: comments, then a version line.
const vmdkDescriptor: Detector = ({ head }) => {
  let position = 0;
  while (position < head.length) {
    const newline = head.indexOf(0x0a, position);
    const end = newline === -1 ? head.length : newline;
    const line = head.toString("latin1", position, Math.min(end, position + 64)).replace(/\r$/, "");
    if (/^version=[123]$/.test(line)) return strong("vmdk");
    if (!line.startsWith("#") && !/^ *$/.test(line)) return undefined;
    position = end + 1;
  }
  return undefined;
};

const vhdFooter: Detector = ({ head, tail }) =>
  hasBytesAt(head, 0, "conectix") || hasBytesAt(tail, tail.length - 512, "conectix")
    ? strong("vhd")
    : undefined;

const dmgTrailer: Detector = ({ tail }) =>
  hasBytesAt(tail, tail.length - 512, "koly") ? strong("dmg") : undefined;

const qcow: Detector = ({ head }) => {
  if (!hasBytesAt(head, 0, "QFI\xfb")) return undefined;
  return strong(hasBytesAt(head, 4, "\0\0\0\x01") ? "qcow" : "qcow2");
};

/** Detectors of virtual disk formats. */
export const containerDetectors: readonly Detector[] = [
  qcow,
  signature("vmdk", 0, "KDMV"),
  signature("vmdk", 0, "COWD"),
  signature("vmdk", 0, "\xbe\xba\xfe\xca\0\0\0\0"),
  vmdkDescriptor,
  signature("vdi", 0x40, "\x7f\x10\xda\xbe"),
  vhdFooter,
  signature("vhdx", 0, "vhdxfile"),
  signature("qed", 0, "QED\0"),
  signature("parallels", 0, "WithoutFreeSpace"),
  signature("parallels", 0, "WithouFreSpacExt"),
  signature("bochs", 0, "Bochs Virtual HD Image"),
  signature("cloop", 0, "#!/bin/sh\n#V2.0"),
  dmgTrailer,
  signature("asif", 0, "shdw"),
  signature("luks", 0, "LUKS\xba\xbe"),
];
