import { parentPort } from "node:worker_threads";
import { readFileFully } from "../worker/sync-file.ts";
import { packFailure } from "../worker/worker-messages.ts";
import { decodeXzBlock } from "./decode-xz-block.ts";
import type { XzRequest, XzResponse } from "./xz-messages.ts";

let pieces: Iterator<Uint8Array<ArrayBuffer>, void> | undefined;

function answer({ number, block, fd }: XzRequest): XzResponse {
  try {
    if (block !== undefined) {
      pieces = decodeXzBlock(block, (target, offset) => readFileFully(fd, target, offset));
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
  const transfer = "bytes" in response ? [response.bytes.buffer as ArrayBuffer] : [];
  parentPort?.postMessage(response, transfer);
});
