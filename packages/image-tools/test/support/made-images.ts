import { join } from "node:path";
import { writeFile } from "node:fs/promises";
import { runTool } from "./run-tool.ts";

/** Bytes that do not compress and do not repeat, the same for the same seed. */
export function noise(length: number, seed = 1): Buffer {
  const bytes = Buffer.alloc(length);
  let state = seed * 2654435761;
  for (let index = 0; index < length; index += 1) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    bytes[index] = state >>> 24;
  }
  return bytes;
}

/** A raw disk with a partition table, noise, text and holes. */
export function rawDisk(length = 1024 * 1024, seed = 1): Buffer {
  const disk = Buffer.alloc(length);
  disk[446] = 0x80;
  disk[450] = 0x83;
  disk.writeUInt32LE(64, 454);
  disk.writeUInt32LE(length / 512 - 64, 458);
  disk.writeUInt16LE(0xaa55, 510);
  noise(Math.floor(length / 5), seed).copy(disk, Math.floor(length / 4));
  disk.fill("All work and no play. ", Math.floor(length / 2), Math.floor(length * 0.65));
  return disk;
}

/** Converts a raw disk to qcow2 with qemu-img; `-c` and `-o` may be among the arguments. */
export async function makeQcow2(
  directory: string,
  raw: Uint8Array,
  ...args: readonly string[]
): Promise<string> {
  const source = join(directory, "source.raw");
  const target = join(directory, "image.qcow2");
  await writeFile(source, raw);
  await runTool("qemu-img", "convert", "-f", "raw", "-O", "qcow2", ...args, source, target);
  return target;
}
