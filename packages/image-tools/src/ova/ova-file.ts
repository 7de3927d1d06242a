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
 * Checks that a file of the description is there as described, and returns what opens it.
 *
 * @throws ImageError `IMAGE_CORRUPT`, and as `TarArchive.open` does.
 */
export function openOvaFile(
  tar: TarArchive,
  file: OvfFile,
  limits: Required<ImageLimits>,
): () => ImageSource {
  const reader =
    file.chunkSizeBytes === undefined ? openMember(tar, file.href) : openChunks(tar, file);
  if (file.sizeBytes !== undefined && file.sizeBytes !== reader.sizeBytes) {
    throw new ImageError(
      "IMAGE_CORRUPT",
      `"${file.href}" of the OVA has ${reader.sizeBytes} bytes where its descriptor says ${file.sizeBytes}`,
    );
  }
  const { compression } = file;
  return () => {
    if (compression === undefined) return { kind: "random", reader };
    if (compression.toLowerCase() !== "gzip") {
      throw new ImageError(
        "IMAGE_UNSUPPORTED",
        `"${file.href}" of the OVA is compressed with ${JSON.stringify(compression)}`,
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
  };
}

function openMember(tar: TarArchive, name: string): RandomAccessReader {
  if (!tar.members.some((member) => member.name === name)) {
    throw new ImageError("IMAGE_CORRUPT", `"${name}", which the OVF descriptor names, is missing`);
  }
  return tar.open(name);
}

// All chunks but the last one have the chunk size, and none is missing between them.
function openChunks(tar: TarArchive, file: OvfFile): RandomAccessReader {
  const chunkName = (index: number): string => `${file.href}.${String(index).padStart(9, "0")}`;
  const names = new Set(tar.members.map(({ name }) => name));
  const chunks: RandomAccessReader[] = [openMember(tar, chunkName(0))];
  while (names.has(chunkName(chunks.length))) chunks.push(tar.open(chunkName(chunks.length)));
  for (const [index, { sizeBytes }] of chunks.entries()) {
    const isLast = index === chunks.length - 1;
    const isRight = isLast
      ? sizeBytes <= (file.chunkSizeBytes as number)
      : sizeBytes === file.chunkSizeBytes;
    if (!isRight) {
      throw new ImageError(
        "IMAGE_CORRUPT",
        `"${chunkName(index)}" of the OVA does not have the length of a chunk`,
      );
    }
  }
  return joinReaders(chunks);
}
