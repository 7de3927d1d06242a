import { corrupt } from "./tar-header.ts";

/**
 * Reads the records of a PAX extended header, `length keyword=value\n` each. The last of several
 * equal keywords wins.
 *
 * @throws ImageError `IMAGE_CORRUPT`.
 * @see POSIX.1-2024, pax, "pax Extended Header"
 */
export function parsePaxRecords(bytes: Buffer): ReadonlyMap<string, string> {
  const records = new Map<string, string>();
  let position = 0;
  while (position < bytes.length) {
    const space = bytes.indexOf(0x20, position);
    const digits = bytes.toString("latin1", position, Math.max(space, position));
    const length = /^[1-9]\d{0,9}$/.test(digits) ? Number(digits) : 0;
    const end = position + length;
    const isRecord = length > digits.length + 2 && end <= bytes.length && bytes[end - 1] === 0x0a;
    if (!isRecord) throw corrupt("an extended header is malformed");
    const record = bytes.toString("utf8", space + 1, end - 1);
    const equals = record.indexOf("=");
    if (equals < 1) throw corrupt("an extended header is malformed");
    records.set(record.slice(0, equals), record.slice(equals + 1));
    position = end;
  }
  return records;
}
