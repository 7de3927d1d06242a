import { PolyvisorError } from "@polyvisor/core";
import { crc32, deflateSync } from "node:zlib";

const SIGNATURE = Buffer.from("\x89PNG\r\n\x1a\n", "latin1");
const TRUE_COLOR = 2;
const BITS = 8;
const CHANNELS = 3;

/**
 * A picture in QEMU's format (PPM, `P6` with 8 bits a channel) as PNG. One that is PNG already stays as it is.
 *
 * @throws `POLYVISOR_REFUSED` for anything else.
 * @see ISO/IEC 15948 (PNG)
 */
export function ppmToPng(picture: Uint8Array): Uint8Array {
  const bytes = Buffer.from(picture.buffer, picture.byteOffset, picture.length);
  if (bytes.subarray(0, SIGNATURE.length).equals(SIGNATURE)) return picture;
  const header = /^P6\s+(\d+)\s+(\d+)\s+255\s/.exec(bytes.toString("latin1", 0, 64));
  const [whole = "", width = 0, height = 0] = (header ?? []).map((part, index) =>
    index === 0 ? part : Number(part),
  ) as [string?, number?, number?];
  const rowBytes = width * CHANNELS;
  if (width === 0 || height === 0 || bytes.length < whole.length + rowBytes * height) {
    throw new PolyvisorError(
      "POLYVISOR_REFUSED",
      "the hypervisor has given a picture of the screen in a format that is not known",
    );
  }
  const rows = Buffer.alloc((rowBytes + 1) * height);
  for (let row = 0; row < height; row += 1) {
    // The first byte of a row names its filter: none.
    bytes.copy(
      rows,
      row * (rowBytes + 1) + 1,
      whole.length + row * rowBytes,
      whole.length + (row + 1) * rowBytes,
    );
  }
  const description = Buffer.alloc(13);
  description.writeUInt32BE(width, 0);
  description.writeUInt32BE(height, 4);
  description.set([BITS, TRUE_COLOR], 8);
  return Buffer.concat([
    SIGNATURE,
    chunk("IHDR", description),
    chunk("IDAT", deflateSync(rows)),
    chunk("IEND", Buffer.alloc(0)),
  ]);
}

function chunk(type: string, data: Buffer): Buffer {
  const named = Buffer.concat([Buffer.from(type, "latin1"), data]);
  const framed = Buffer.alloc(named.length + 8);
  framed.writeUInt32BE(data.length, 0);
  named.copy(framed, 4);
  framed.writeUInt32BE(crc32(named), named.length + 4);
  return framed;
}
