import type { WorkerFailure } from "../worker/worker-messages.ts";
import type { XzBlock } from "./xz-block.ts";

/** Asks a thread for the next piece of a block. */
export interface XzRequest {
  /** Number of the block; answers repeat it. */
  readonly number: number;
  /** Present in the first request for a block. */
  readonly block?: XzBlock;
  /** The open file. */
  readonly fd: number;
}

/** What a thread answers: a piece, the end of the block, or why there is neither. */
export type XzResponse = { readonly number: number } & (
  | { readonly bytes: Uint8Array<ArrayBuffer> }
  | { readonly done: true }
  | { readonly failure: WorkerFailure }
);
