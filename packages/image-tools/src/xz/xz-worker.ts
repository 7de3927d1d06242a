import { parentPort } from "node:worker_threads";
import { readFileFully } from "../worker/sync-file.ts";
import { packFailure } from "../worker/worker-messages.ts";
import { decodeXzBlock, XzMemory } from "./decode-xz-block.ts";
import type { XzRequest, XzResponse } from "./xz-messages.ts";

const memory = new XzMemory();
let pieces: Iterator<Uint8Array<ArrayBuffer>, void> | undefined;

function answer({ number, block, fd }: XzRequest): XzResponse {
  try {
    if (block !== undefined) {
      const read = (target: Uint8Array, offset: number): void => readFileFully(fd, target, offset);
      pieces = decodeXzBlock(block, read, memory);
    }
    const step = pieces?.next();
    if (step?.done === false) return { number, bytes: step.value };
    pieces = undefined;
    return { number, done: true };
  } catch (error) {
    return { number, failure: packFailure(error) };
  }
}

parentPort?.on("message", (request: XzRequest) => {
  const response = answer(request);
  const transfer = "bytes" in response ? [response.bytes.buffer] : [];
  parentPort?.postMessage(response, transfer);
});
