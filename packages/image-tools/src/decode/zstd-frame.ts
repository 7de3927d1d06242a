const ZSTD_MAGIC = 0xfd2fb528;
const SKIPPABLE_MAGIC = 0x184d2a50;

/**
 * Length of the zstd frame at the start of `bytes`, found by its block headers without decoding;
 * `undefined` when there is no whole frame.
 *
 * @see RFC 8878, section 3.1
 */
export function zstdFrameLength(bytes: Buffer): number | undefined {
  if (bytes.length < 8) return undefined;
  const magic = bytes.readUInt32LE(0);
  if ((magic & 0xfffffff0) >>> 0 === SKIPPABLE_MAGIC) {
    const length = 8 + bytes.readUInt32LE(4);
    return length <= bytes.length ? length : undefined;
  }
  if (magic !== ZSTD_MAGIC) return undefined;

  const descriptor = bytes[4] as number;
  const singleSegment = (descriptor & 0x20) !== 0;
  const contentSizeFlag = descriptor >>> 6;
  const contentSizeBytes = contentSizeFlag === 0 ? Number(singleSegment) : 2 ** contentSizeFlag;
  const dictionaryBytes = [0, 1, 2, 4][descriptor & 3] as number;
  let position = 5 + Number(!singleSegment) + dictionaryBytes + contentSizeBytes;
  for (;;) {
    if (position + 3 > bytes.length) return undefined;
    const blockHeader = bytes.readUIntLE(position, 3);
    const blockType = (blockHeader >>> 1) & 3;
    position += 3 + (blockType === 1 ? 1 : blockHeader >>> 3);
    if ((blockHeader & 1) === 1) break;
  }
  if ((descriptor & 4) !== 0) position += 4;
  return position <= bytes.length ? position : undefined;
}
