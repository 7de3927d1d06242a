import { ISO_SECTOR_BYTES, ucs2, volumeDate, writeBoth16, writeBoth32 } from "./iso-fields.ts";

/** What one volume descriptor says. */
export interface IsoVolumeDescriptor {
  readonly kind: "primary" | "joliet";
  readonly volumeId: string;
  readonly volumeSectors: number;
  readonly pathTableBytes: number;
  readonly littlePathTableSector: number;
  readonly bigPathTableSector: number;
  readonly rootRecord: Buffer;
  readonly date: Date;
}

/**
 * Writes a primary descriptor or Joliet's supplementary one.
 *
 * @see ECMA-119, sections 8.4 and 8.5; Joliet specification, section 3
 */
export function volumeDescriptor(descriptor: IsoVolumeDescriptor): Buffer {
  const isJoliet = descriptor.kind === "joliet";
  const target = descriptorHead(isJoliet ? 2 : 1);
  const text = (offset: number, length: number, value: string): void => {
    if (isJoliet) ucs2(value.padEnd(length / 2, " ").slice(0, length / 2)).copy(target, offset);
    else target.write(value.padEnd(length, " "), offset, length, "latin1");
  };
  text(8, 32, "");
  text(40, 32, descriptor.volumeId);
  writeBoth32(target, 80, descriptor.volumeSectors);
  if (isJoliet) target.write("%/E", 88, "latin1");
  writeBoth16(target, 120, 1);
  writeBoth16(target, 124, 1);
  writeBoth16(target, 128, ISO_SECTOR_BYTES);
  writeBoth32(target, 132, descriptor.pathTableBytes);
  target.writeUInt32LE(descriptor.littlePathTableSector, 140);
  target.writeUInt32BE(descriptor.bigPathTableSector, 148);
  descriptor.rootRecord.copy(target, 156);
  for (const offset of [190, 318, 446, 574]) text(offset, 128, "");
  // Odd lengths hold one byte less of UCS-2 text.
  for (const [offset, length] of [
    [702, 37],
    [739, 37],
    [776, 37],
  ] as const) {
    text(offset, isJoliet ? length - 1 : length, "");
  }
  const date = volumeDate(descriptor.date);
  date.copy(target, 813);
  date.copy(target, 830);
  const unset = Buffer.from(`${"0".repeat(16)}\0`, "latin1");
  unset.copy(target, 847);
  unset.copy(target, 864);
  target.writeUInt8(1, 881);
  return target;
}

/** Writes the descriptor that ends the list. @see ECMA-119, section 8.3 */
export function descriptorTerminator(): Buffer {
  return descriptorHead(255);
}

function descriptorHead(type: number): Buffer {
  const target = Buffer.alloc(ISO_SECTOR_BYTES);
  target.writeUInt8(type, 0);
  target.write("CD001", 1, "latin1");
  target.writeUInt8(1, 6);
  return target;
}
