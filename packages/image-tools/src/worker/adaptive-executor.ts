import type { CopyExecutor } from "./copy-executor.ts";
import { asPlainCopy, runPlainCopy } from "./plain-copy.ts";

/** What an {@link adaptiveExecutor} is made of. */
export interface AdaptiveExecutorInput {
  /** How many jobs are worth being given at the same time, plain ones and others. */
  readonly concurrency: number;
  /** Starts the other executor. */
  readonly start: () => Promise<CopyExecutor>;
}

/**
 * Moves plain pieces without any thread of ours, and gives those that must be decoded, digested or
 * compressed to another executor, which is started for the first of them and disposed with this one.
 */
export function adaptiveExecutor({ concurrency, start }: AdaptiveExecutorInput): CopyExecutor {
  const idleMemory: Buffer[] = [];
  let others: Promise<CopyExecutor> | undefined;

  function takeMemory(length: number): Buffer {
    const memory = idleMemory.pop();
    return memory !== undefined && memory.length >= length
      ? memory
      : Buffer.allocUnsafeSlow(length);
  }

  return {
    concurrency,
    run: async (job) => {
      const plain = asPlainCopy(job);
      if (plain === undefined) {
        others ??= start();
        return (await others).run(job);
      }
      const memory = takeMemory(job.length);
      try {
        return await runPlainCopy(plain, memory.subarray(0, job.length));
      } finally {
        idleMemory.push(memory);
      }
    },
    [Symbol.asyncDispose]: async () => {
      await (await others)?.[Symbol.asyncDispose]();
    },
  };
}
