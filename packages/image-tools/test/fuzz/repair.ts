import { hasBytesAt } from "../../src/detect/detector.ts";
import { crc32c } from "../../src/vhdx/crc32c.ts";
import type { Mutant, Patch } from "./mutant.ts";

const VHDX_CHECKED = [
  [64 * 1024, 4096],
  [128 * 1024, 4096],
  [192 * 1024, 64 * 1024],
  [256 * 1024, 64 * 1024],
] as const;

/** Makes the checksums of a mutant right again, so that what lies behind them is reached. */
export function repairChecksums(mutant: Mutant): Mutant {
  const whole = (): Buffer => {
    const bytes = Buffer.from(mutant.seed);
    for (const patch of mutant.patches) patch.bytes.copy(bytes, patch.offset);
    return bytes;
  };
  const { seed } = mutant;
  if (mutant.sizeBytes !== seed.length) return mutant;
  if (hasBytesAt(seed, 0, "vhdxfile")) return repairVhdx(mutant);
  if (hasBytesAt(seed, seed.length - 512, "conectix")) return repairVhd(mutant, whole());
  return mutant;
}

function repairVhdx(mutant: Mutant): Mutant {
  const repairs: Patch[] = [];
  for (const [offset, length] of VHDX_CHECKED) {
    const hits = mutant.patches.filter(
      (patch) => patch.offset < offset + length && patch.offset + patch.bytes.length > offset,
    );
    if (hits.length === 0) continue;
    const bytes = Buffer.from(mutant.seed.subarray(offset, offset + length));
    for (const patch of hits) {
      patch.bytes.copy(
        bytes,
        Math.max(0, patch.offset - offset),
        Math.max(0, offset - patch.offset),
      );
    }
    bytes.writeUInt32LE(0, 4);
    const checksum = Buffer.alloc(4);
    checksum.writeUInt32LE(crc32c(bytes));
    repairs.push({ offset: offset + 4, bytes: checksum });
  }
  return { ...mutant, patches: [...mutant.patches, ...repairs] };
}

function repairVhd(mutant: Mutant, whole: Buffer): Mutant {
  const structures = [[whole.length - 512, 512, 64]];
  if (hasBytesAt(whole, 512, "cxsparse")) structures.push([512, 1024, 36]);
  const repairs = structures.map(([offset = 0, length = 0, at = 0]): Patch => {
    let sum = 0;
    for (let index = 0; index < length; index += 1) {
      if (index < at || index >= at + 4) sum += whole[offset + index] as number;
    }
    const checksum = Buffer.alloc(4);
    checksum.writeUInt32BE(~sum >>> 0);
    return { offset: offset + at, bytes: checksum };
  });
  return { ...mutant, patches: [...mutant.patches, ...repairs] };
}
