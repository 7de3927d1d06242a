import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { crc32 } from "node:zlib";
import { runTool } from "./run-tool.ts";
import { temporaryDirectory } from "./temporary-directory.ts";

/** What `xz` makes of `content` with these arguments. */
export async function xz(content: Uint8Array, ...args: readonly string[]): Promise<Buffer> {
  await using directory = await temporaryDirectory();
  const path = join(directory.path, "content");
  await writeFile(path, content);
  return await runTool("xz", "-c", "-T1", ...args, path);
}

/** Replaces the index of an xz file of one stream with another of the same length. */
export function withIndex(file: Buffer, records: readonly number[], count: number): Buffer {
  const indexBytes = (file.readUInt32LE(file.length - 8) + 1) * 4;
  const fields = Buffer.concat([Buffer.alloc(1), ...[count, ...records].map(integer)]);
  const index = Buffer.alloc(indexBytes);
  if (fields.length > indexBytes - 4) throw new Error("the index does not fit");
  fields.copy(index);
  index.writeUInt32LE(crc32(index.subarray(0, -4)), indexBytes - 4);
  const start = file.length - 12 - indexBytes;
  return Buffer.concat([file.subarray(0, start), index, file.subarray(-12)]);
}

/** An integer as the fields of an xz file have it. */
function integer(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  while (rest >= 128) {
    bytes.push((rest % 128) | 0x80);
    rest = Math.floor(rest / 128);
  }
  return Buffer.from([...bytes, rest]);
}

/** The end of an xz file whose index is said to be of `indexBytes`. */
export function footer(indexBytes: number, check = 1): Buffer {
  const bytes = Buffer.alloc(12);
  bytes.writeUInt32LE(indexBytes / 4 - 1, 4);
  bytes[9] = check;
  bytes.writeUInt32LE(crc32(bytes.subarray(4, 10)), 0);
  bytes.write("YZ", 10, "latin1");
  return bytes;
}
