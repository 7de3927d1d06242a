import { recordDate, writeBoth32 } from "./iso-fields.ts";

const FILE_MODE = 0o100444;
const DIRECTORY_MODE = 0o040555;
const EXTENSION_IDENTIFIER = "RRIP_1991A";

function entry(signature: string, data: Buffer): Buffer {
  return Buffer.concat([Buffer.from(signature), Buffer.from([4 + data.length, 1]), data]);
}

function attributes(mode: number, links: number): Buffer {
  const data = Buffer.alloc(32);
  writeBoth32(data, 0, mode);
  writeBoth32(data, 8, links);
  return entry("PX", data);
}

function modified(date: Date): Buffer {
  return entry("TF", Buffer.concat([Buffer.from([0x02]), recordDate(date)]));
}

/** System use area of a file: attributes, date and the true name. @see RRIP 1.09, section 4.1 */
export function rockRidgeFile(name: string, date: Date): Buffer {
  const trueName = entry("NM", Buffer.concat([Buffer.from([0]), Buffer.from(name)]));
  return Buffer.concat([attributes(FILE_MODE, 1), modified(date), trueName]);
}

/**
 * System use area of a directory's record of itself; the root's also announces that the volume
 * uses Rock Ridge.
 *
 * @see SUSP 1.10, sections 5.3 and 5.5
 */
export function rockRidgeDirectory(isRootItself: boolean, date: Date): Buffer {
  const own = Buffer.concat([attributes(DIRECTORY_MODE, 2), modified(date)]);
  if (!isRootItself) return own;
  const sharing = entry("SP", Buffer.from([0xbe, 0xef, 0]));
  const reference = Buffer.concat([
    Buffer.from([EXTENSION_IDENTIFIER.length, 0, 0, 1]),
    Buffer.from(EXTENSION_IDENTIFIER),
  ]);
  return Buffer.concat([sharing, own, entry("ER", reference)]);
}
