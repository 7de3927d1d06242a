/** Size of a logical sector and block. */
export const ISO_SECTOR_BYTES = 2048;

/** Number of sectors that `bytes` need. */
export function sectorsFor(bytes: number): number {
  return Math.ceil(bytes / ISO_SECTOR_BYTES);
}

/** Writes a 16-bit number in both byte orders. @see ECMA-119, section 7.2.3 */
export function writeBoth16(target: Buffer, offset: number, value: number): void {
  target.writeUInt16LE(value, offset);
  target.writeUInt16BE(value, offset + 2);
}

/** Writes a 32-bit number in both byte orders. @see ECMA-119, section 7.3.3 */
export function writeBoth32(target: Buffer, offset: number, value: number): void {
  target.writeUInt32LE(value, offset);
  target.writeUInt32BE(value, offset + 4);
}

/** The seven bytes of a directory record's date, in UTC. @see ECMA-119, section 9.1.5 */
export function recordDate(date: Date): Buffer {
  return Buffer.from([
    date.getUTCFullYear() - 1900,
    date.getUTCMonth() + 1,
    date.getUTCDate(),
    date.getUTCHours(),
    date.getUTCMinutes(),
    date.getUTCSeconds(),
    0,
  ]);
}

/** The 17 bytes of a volume descriptor's date, in UTC. @see ECMA-119, section 8.4.26.1 */
export function volumeDate(date: Date): Buffer {
  const digits = date.toISOString().replaceAll(/\D/g, "").slice(0, 14);
  return Buffer.from(`${digits}00\0`, "latin1");
}

/** UCS-2 in big-endian order, as Joliet writes it. */
export function ucs2(text: string): Buffer {
  return Buffer.from(text, "utf16le").swap16();
}
