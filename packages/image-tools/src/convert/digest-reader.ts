import { DigestInPassing } from "../digest/digest-in-passing.ts";
import type { SourceDigest } from "../digest/source-digest.ts";
import type { RandomAccessReader } from "../io/random-access-reader.ts";
import { readInOrder } from "../source/sub-reader.ts";
import type { DigestedReader } from "./random-source.ts";

/**
 * Takes the digests of what `reader` holds: of a local file by reading it beside, of anything else
 * in passing, so that nothing is fetched twice.
 */
export function digestReader(
  reader: RandomAccessReader,
  digest: SourceDigest,
  signal: AbortSignal | undefined,
): DigestedReader {
  if (reader.fd === undefined) {
    const passing = new DigestInPassing(reader, (bytes) => digest.update(bytes));
    const digests: DigestedReader["digests"] = async () => {
      await passing.finish(signal);
      return digest.finish();
    };
    return { reader: passing.reader, digests, settle: async () => {} };
  }
  const done = (async () => {
    for await (const chunk of readInOrder(reader, signal)) digest.update(chunk);
  })();
  // It is awaited at the end; until then its failure must not count as unhandled.
  done.catch(() => {});
  return {
    reader,
    digests: async () => {
      await done;
      return digest.finish();
    },
    settle: async () => {
      await done.catch(() => undefined);
    },
  };
}
