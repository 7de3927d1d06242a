const POLYNOMIAL = 0x82f63b78;

const table = new Uint32Array(256).map((_zero, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit += 1) {
    value = (value & 1) === 0 ? value >>> 1 : (value >>> 1) ^ POLYNOMIAL;
  }
  return value;
});

/** The CRC-32C (Castagnoli) of `bytes`. @see RFC 3720, appendix B.4 */
export function crc32c(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) crc = (crc >>> 8) ^ (table[(crc ^ byte) & 0xff] as number);
  return ~crc >>> 0;
}

/** Whether the four bytes at `at` hold the CRC-32C of all bytes with those four as zeros. */
export function hasValidCrc32c(bytes: Buffer, at: number): boolean {
  const copy = Buffer.from(bytes);
  const stored = copy.readUInt32LE(at);
  copy.writeUInt32LE(0, at);
  return crc32c(copy) === stored;
}
