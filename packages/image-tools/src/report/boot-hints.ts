import { hasBytesAt } from "../detect/detector.ts";
import type { BootHints } from "./image-report.ts";

/** How much of a disk {@link diskBootHints} looks at: GPT entries behind sectors of 4 KiB. */
export const BOOT_HEAD_BYTES: number = 24 * 1024;

const EFI_SYSTEM_MBR_TYPE = 0xef;
const EFI_SYSTEM_PARTITION = Buffer.from("28732ac11ff8d211ba4b00a0c93ec93b", "hex");
const BOOT_CODE_BYTES = 440;
const GPT_ENTRIES = 128;

/**
 * Looks for boot code and an EFI system partition at the beginning of a disk.
 *
 * @see UEFI 2.10, section 5
 */
export function diskBootHints(head: Buffer): BootHints {
  if (head.length < 512 || head.readUInt16LE(510) !== 0xaa55) return { bios: false, uefi: false };
  const bios = head.subarray(0, BOOT_CODE_BYTES).some((byte) => byte !== 0);
  const types = [0, 1, 2, 3].map((index) => head[446 + index * 16 + 4]);
  return { bios, uefi: types.includes(EFI_SYSTEM_MBR_TYPE) || hasEfiPartition(head) };
}

function hasEfiPartition(head: Buffer): boolean {
  for (const sectorBytes of [512, 4096]) {
    if (!hasBytesAt(head, sectorBytes, "EFI PART")) continue;
    const entryBytes = head.readUInt32LE(sectorBytes + 84);
    if (entryBytes < 128 || entryBytes > 4096) continue;
    for (let index = 0; index < GPT_ENTRIES; index += 1) {
      const start = sectorBytes * 2 + index * entryBytes;
      if (head.subarray(start, start + 16).equals(EFI_SYSTEM_PARTITION)) return true;
    }
  }
  return false;
}

const SECTOR_BYTES = 2048;
const CATALOG_ENTRY_BYTES = 32;
const X86 = 0;
const EFI = 0xef;
const BOOTABLE = 0x88;

/**
 * Where the boot catalog of a disc lies, by its descriptors in `head`; `undefined` when it has none.
 *
 * @see El Torito Bootable CD-ROM Format Specification 1.0, figure 7
 */
export function bootCatalogOffset(head: Buffer): number | undefined {
  for (let start = 16 * SECTOR_BYTES; start + SECTOR_BYTES <= head.length; start += SECTOR_BYTES) {
    if (!hasBytesAt(head, start + 1, "CD001") || head[start] === 255) return undefined;
    if (head[start] === 0 && hasBytesAt(head, start + 7, "EL TORITO SPECIFICATION")) {
      return head.readUInt32LE(start + 0x47) * SECTOR_BYTES;
    }
  }
  return undefined;
}

/** Reads the platforms of the bootable entries of a boot catalog. */
export function catalogBootHints(catalog: Buffer): BootHints {
  const platforms = new Set<number>();
  let platform = catalog[0] === 1 ? catalog[1] : undefined;
  for (let at = CATALOG_ENTRY_BYTES; at + CATALOG_ENTRY_BYTES <= catalog.length;) {
    const kind = catalog[at];
    if (kind === 0x90 || kind === 0x91) platform = catalog[at + 1];
    else if (kind === BOOTABLE && platform !== undefined) platforms.add(platform);
    else if (kind === 0 && at > CATALOG_ENTRY_BYTES) break;
    at += CATALOG_ENTRY_BYTES;
  }
  return { bios: platforms.has(X86), uefi: platforms.has(EFI) };
}
