import type { SparseExtent, SparseStream } from "../../src/index.ts";

/** The whole content of a small stream, after checking what every sparse stream promises. */
export async function collectSparse(stream: SparseStream): Promise<Buffer> {
  const content = Buffer.alloc(stream.sizeBytes);
  let position = 0;
  let last: SparseExtent["type"] | undefined;
  for await (const extent of stream) {
    if (extent.type === "hole") {
      if (last === "hole") throw new Error("two holes adjoin");
      if (extent.length <= 0) throw new Error("an empty hole");
      position += extent.length;
    } else {
      const { length } = extent.bytes;
      if (length === 0 || length > 1024 * 1024) throw new Error(`a data extent of ${length} bytes`);
      content.set(extent.bytes, position);
      position += length;
    }
    last = extent.type;
  }
  if (position !== stream.sizeBytes) throw new Error(`stream ended at ${position}`);
  return content;
}

/** All bytes of a byte stream. */
export async function collectBytes(stream: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** The extents of a short stream. */
export async function collectExtents(
  stream: AsyncIterable<SparseExtent>,
): Promise<readonly SparseExtent[]> {
  const extents: SparseExtent[] = [];
  for await (const extent of stream) extents.push(extent);
  return extents;
}
