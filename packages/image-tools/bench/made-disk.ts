import { open, readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";

const ALIGNMENT = 4096;
const HOLE_EVERY_BYTES = 64 * 1024 * 1024;
const HOLE_BYTES = 2 * 1024 * 1024;

async function* filesIn(directory: string): AsyncGenerator<string, void, void> {
  const entries = await readdir(directory, { withFileTypes: true });
  entries.sort((a, b) => (a.name < b.name ? -1 : 1));
  for (const entry of entries) {
    const path = join(directory, entry.name);
    if (entry.isDirectory()) yield* filesIn(path);
    else if (entry.isFile()) yield path;
  }
}

/** Writes a raw disk of `sizeBytes` out of the programs and libraries of this system, with holes. */
export async function makeDisk(path: string, sizeBytes: number): Promise<void> {
  const file = await open(path, "w");
  try {
    const bootRecord = Buffer.alloc(512);
    bootRecord[450] = 0x83;
    bootRecord.writeUInt32LE(2048, 454);
    bootRecord.writeUInt32LE(sizeBytes / 512 - 2048, 458);
    bootRecord.writeUInt16LE(0xaa55, 510);
    await file.write(bootRecord, 0, 512, 0);
    let position = 1024 * 1024;
    let nextHole = HOLE_EVERY_BYTES;
    while (position < sizeBytes) {
      for await (const source of filesIn("/usr")) {
        const { size } = await stat(source);
        if (size < ALIGNMENT || size > HOLE_EVERY_BYTES) continue;
        const content = await readFile(source);
        const part = content.subarray(0, sizeBytes - position);
        await file.write(part, 0, part.length, position);
        position += Math.ceil(part.length / ALIGNMENT) * ALIGNMENT;
        if (position > nextHole) {
          position += HOLE_BYTES;
          nextHole += HOLE_EVERY_BYTES;
        }
        if (position >= sizeBytes) break;
      }
    }
    await file.truncate(sizeBytes);
  } finally {
    await file.close();
  }
}
