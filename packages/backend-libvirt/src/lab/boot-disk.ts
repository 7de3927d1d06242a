import { open, readFile, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { runChecked } from "./run-command.ts";

const SECTOR_BYTES = 512;
const PARTITION_START = 2048;
const PARTITION_TYPE_FAT16_LBA = 0x0e;
const MASTER_BOOT_CODE = "/usr/lib/syslinux/mbr/mbr.bin";
// The table of partitions begins where the boot code must end.
const PARTITION_TABLE_OFFSET = 446;

/** What a boot disk holds. */
export interface BootDisk {
  readonly kernel: Uint8Array;
  readonly initramfs: Uint8Array;
  /** The kernel's command line. */
  readonly commandLine: string;
  /** Size of the disk in bytes, a multiple of 1 MiB. */
  readonly sizeBytes: number;
}

/**
 * Writes a raw BIOS boot disk: a master boot record and one FAT partition with SYSLINUX, a kernel and an
 * initramfs. Nothing is mounted.
 *
 * @param workDirectory a private folder for the files that the tools copy from.
 */
export async function writeBootDisk(
  path: string,
  disk: BootDisk,
  options: { readonly workDirectory: string; readonly signal?: AbortSignal | undefined },
): Promise<void> {
  const { workDirectory, signal } = options;
  const sectors = disk.sizeBytes / SECTOR_BYTES - PARTITION_START;
  const offset = PARTITION_START * SECTOR_BYTES;
  await writeFile(path, masterBootRecord(await readFile(MASTER_BOOT_CODE), sectors));
  await truncate(path, disk.sizeBytes);
  // Clusters of 8 KiB: the boot loader asks the BIOS less often.
  await runChecked(
    "/usr/sbin/mkfs.vfat",
    [
      "-F",
      "16",
      "-s",
      "16",
      "-n",
      "BOOT",
      "--invariant",
      "-h",
      String(PARTITION_START),
      "--offset",
      String(PARTITION_START),
      path,
      String((sectors * SECTOR_BYTES) / 1024),
    ],
    { signal },
  );
  const files = {
    vmlinuz: disk.kernel,
    "initrd.img": disk.initramfs,
    "syslinux.cfg": Buffer.from(bootConfiguration(disk.commandLine)),
  };
  const sources: string[] = [];
  for (const [name, content] of Object.entries(files)) {
    const source = join(workDirectory, name);
    await writeFile(source, content);
    sources.push(source);
  }
  await runChecked("mcopy", ["-i", `${path}@@${offset}`, ...sources, "::"], { signal });
  await runChecked("syslinux", ["--offset", String(offset), "--install", path], { signal });
  await sync(path);
}

function bootConfiguration(commandLine: string): string {
  return `DEFAULT guest
PROMPT 0
NOESCAPE 1
LABEL guest
  LINUX vmlinuz
  INITRD initrd.img
  APPEND ${commandLine}
`;
}

/** A master boot record with one active FAT16 partition that begins at 1 MiB. */
export function masterBootRecord(bootCode: Uint8Array, partitionSectors: number): Buffer {
  if (bootCode.length > PARTITION_TABLE_OFFSET) {
    throw new RangeError(`Boot code of ${bootCode.length} bytes reaches into the partition table.`);
  }
  const record = Buffer.alloc(SECTOR_BYTES);
  record.set(bootCode);
  const entry = record.subarray(PARTITION_TABLE_OFFSET);
  // Cylinders, heads and sectors at their maximum say: use the sector numbers.
  entry.set([0x80, 0xfe, 0xff, 0xff, PARTITION_TYPE_FAT16_LBA, 0xfe, 0xff, 0xff]);
  entry.writeUInt32LE(PARTITION_START, 8);
  entry.writeUInt32LE(partitionSectors, 12);
  record.writeUInt16LE(0xaa55, SECTOR_BYTES - 2);
  return record;
}

async function sync(path: string): Promise<void> {
  await using file = await open(path, "r");
  await file.sync();
}
