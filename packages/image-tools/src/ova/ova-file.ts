import { countBytes, limitExpansion, type ByteCounter } from "../decode/limit-expansion.ts";
import { streamDecoder } from "../decode/stream-decoders.ts";
import { ImageError } from "../image-error.ts";
import type { ImageLimits } from "../image-limits.ts";
import type { RandomAccessReader } from "../io/random-access-reader.ts";
import type { OvfFile } from "../ovf/ovf-description.ts";
import type { ImageSource } from "../source/open-source.ts";
import { joinReaders, readInOrder } from "../source/sub-reader.ts";
import type { TarArchive } from "../tar/open-tar.ts";

/**
 * Names of the members that hold a file of the description, in order: one, or its chunks.
 *
 * @throws ImageError `IMAGE_CORRUPT` unless they are there as described, and as `TarArchive.open` does.
 */
export function ovaFileMembers(tar: TarArchive, file: OvfFile): readonly string[] {
  const members = file.chunkSizeBytes === undefined ? [file.href] : chunkNames(tar, file);
  let sizeBytes = 0;
  for (const name of members) sizeBytes += memberBytes(tar, name);
  if (file.sizeBytes !== undefined && file.sizeBytes !== sizeBytes) {
    throw new ImageError(
      "IMAGE_CORRUPT",
      `"${file.href}" of the OVA has ${sizeBytes} bytes where its descriptor says ${file.sizeBytes}`,
    );
  }
  return members;
}

/**
 * Opens a file of the description by the readers of its members.
 *
 * @throws ImageError `IMAGE_UNSUPPORTED` for a compression other than gzip.
 */
export function openOvaFile(
  members: readonly RandomAccessReader[],
  { href, compression }: OvfFile,
  limits: Required<ImageLimits>,
): ImageSource {
  const [first] = members;
  const reader = members.length === 1 && first !== undefined ? first : joinReaders(members);
  if (compression === undefined) return { kind: "random", reader };
  if (compression.toLowerCase() !== "gzip") {
    throw new ImageError(
      "IMAGE_UNSUPPORTED",
      `"${href}" of the OVA is compressed with ${JSON.stringify(compression)}`,
    );
  }
  const counter: ByteCounter = { bytes: 0 };
  const decoded = streamDecoder("gz").decode(countBytes(readInOrder(reader), counter));
  const stream = limitExpansion(decoded, counter, limits.maxDecompressionRatio);
  return {
    kind: "forward",
    stream: {
      [Symbol.asyncIterator]: () => stream,
      [Symbol.asyncDispose]: async () => {
        await stream.return();
      },
    },
  };
}

function memberBytes(tar: TarArchive, name: string): number {
  if (!tar.members.some((member) => member.name === name)) {
    throw new ImageError("IMAGE_CORRUPT", `"${name}", which the OVF descriptor names, is missing`);
  }
  return tar.open(name).sizeBytes;
}

// All chunks but the last one have the chunk size, and none is missing between them.
function chunkNames(tar: TarArchive, file: OvfFile): readonly string[] {
  const chunkName = (index: number): string => `${file.href}.${String(index).padStart(9, "0")}`;
  const present = new Set(tar.members.map(({ name }) => name));
  const names = [chunkName(0)];
  while (present.has(chunkName(names.length))) names.push(chunkName(names.length));
  for (const [index, name] of names.entries()) {
    const sizeBytes = memberBytes(tar, name);
    const isLast = index === names.length - 1;
    const isRight = isLast
      ? sizeBytes <= (file.chunkSizeBytes as number)
      : sizeBytes === file.chunkSizeBytes;
    if (!isRight) {
      throw new ImageError(
        "IMAGE_CORRUPT",
        `"${name}" of the OVA does not have the length of a chunk`,
      );
    }
  }
  return names;
}
