import { Worker } from "node:worker_threads";
import { ImageError } from "../image-error.ts";
import type { CopyExecutor } from "./copy-executor.ts";
import type { CopyJob, CopyResult } from "./copy-job.ts";
import { JOBS_PER_THREAD, threadCount } from "./thread-count.ts";
import { unpackFailure, type WorkerRequest, type WorkerResponse } from "./worker-messages.ts";

const DEFAULT_HEAP_MEBIBYTES = 64;

interface Waiting {
  readonly resolve: (result: CopyResult) => void;
  readonly reject: (error: unknown) => void;
}

interface Thread {
  readonly worker: Worker;
  readonly waiting: Map<number, Waiting>;
  failure: unknown;
}

/** Options of {@link createWorkerPool}. */
export interface WorkerPoolOptions {
  /** Default: one for each processor, at most 4. */
  readonly threads?: number | undefined;
  /**
   * Heap of each thread. The smaller it is, the sooner the collector takes back decoded blocks, which
   * are not in it, and the more time that takes. Default: 64.
   */
  readonly heapMebibytes?: number | undefined;
}

/** Starts threads for copy jobs. Disposing the pool ends them, whatever they are doing. */
export function createWorkerPool(options: WorkerPoolOptions = {}): CopyExecutor {
  const count = threadCount(options.threads);
  const heapMebibytes = options.heapMebibytes ?? DEFAULT_HEAP_MEBIBYTES;
  const threads = Array.from({ length: count }, () => startThread(heapMebibytes));
  let nextId = 0;

  return {
    concurrency: count * JOBS_PER_THREAD,
    run: (job) =>
      new Promise((resolve, reject) => {
        const thread = threads.reduce((best, candidate) =>
          candidate.waiting.size < best.waiting.size ? candidate : best,
        );
        if (thread.failure !== undefined) {
          reject(thread.failure);
          return;
        }
        nextId += 1;
        thread.waiting.set(nextId, { resolve, reject });
        const request: WorkerRequest = { id: nextId, job };
        thread.worker.postMessage(request, ownedMemory(job));
      }),
    [Symbol.asyncDispose]: async () => {
      await Promise.all(
        threads.map(async (thread) => {
          fail(thread, new ImageError("IMAGE_IO", "the threads of the conversion were ended"));
          await thread.worker.terminate();
        }),
      );
    },
  };
}

/** What moves to the thread instead of being copied. */
function ownedMemory({ source }: CopyJob): ArrayBuffer[] {
  if (source.kind !== "pieces" || source.isOwned !== true) return [];
  return source.pieces.flatMap(({ bytes: { buffer } }) =>
    buffer instanceof ArrayBuffer ? [buffer] : [],
  );
}

function startThread(heapMebibytes: number): Thread {
  const extension = import.meta.url.endsWith(".ts") ? "ts" : "js";
  const script = new URL(`./copy-worker.${extension}`, import.meta.url);
  // Flags of the process, such as --input-type, need not be meant for another script.
  const resourceLimits = { maxOldGenerationSizeMb: heapMebibytes, maxYoungGenerationSizeMb: 4 };
  const worker = new Worker(script, { execArgv: [], resourceLimits });
  const thread: Thread = { worker, waiting: new Map(), failure: undefined };
  worker.on("message", (response: WorkerResponse) => {
    const waiting = thread.waiting.get(response.id);
    thread.waiting.delete(response.id);
    if ("result" in response) waiting?.resolve(response.result);
    else waiting?.reject(unpackFailure(response.failure));
  });
  worker.on("error", (cause) => fail(thread, threadEnded(cause)));
  worker.on("exit", () => fail(thread, threadEnded(undefined)));
  return thread;
}

function fail(thread: Thread, error: ImageError): void {
  thread.failure ??= error;
  for (const { reject } of thread.waiting.values()) reject(error);
  thread.waiting.clear();
}

function threadEnded(cause: unknown): ImageError {
  return new ImageError("IMAGE_IO", "a thread of the conversion ended unexpectedly", { cause });
}
