import type { ChildProcessWithoutNullStreams } from "node:child_process";
import process from "node:process";
import { Duplex } from "node:stream";
import { setTimeout as delay } from "node:timers/promises";

/** How a child process ended. */
export interface ChildProcessEnd {
  readonly exitCode: number | undefined;
  readonly signal: NodeJS.Signals | undefined;
  /** The end of what it wrote to its standard error, at most 4096 characters. */
  readonly errorOutput: string;
  /** Whether it had sent anything. */
  readonly hadData: boolean;
}

const errorOutputLimit = 4096;
const graceMs = 2000;

const running = new Set<ChildProcessWithoutNullStreams>();

// A process that ends at once runs no clean-up of streams.
function killRunning(): void {
  for (const child of running) child.kill("SIGKILL");
}

/**
 * The standard streams of a running child process as one byte stream.
 *
 * The stream fails with the error that `explain` makes when the process ends by itself. When the
 * stream is destroyed, the process is told to end, killed after 2 s, and gone at `close`.
 */
export class ChildProcessStream extends Duplex {
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #explain: (end: ChildProcessEnd) => Error;
  #errorOutput = "";
  #hadData = false;
  #ending = false;

  constructor(child: ChildProcessWithoutNullStreams, explain: (end: ChildProcessEnd) => Error) {
    super();
    this.#child = child;
    this.#explain = explain;
    if (running.size === 0) process.on("exit", killRunning);
    running.add(child);
    child.once("exit", () => {
      running.delete(child);
      if (running.size === 0) process.off("exit", killRunning);
    });
    child.stdout.on("data", (chunk: Buffer) => {
      this.#hadData = true;
      if (!this.push(chunk)) child.stdout.pause();
    });
    child.stdout.once("close", () => void this.#endByItself());
    child.stdin.on("error", () => void this.#endByItself());
    // A signal that cannot be sent, or a pipe that breaks, is followed by an end of the process.
    child.on("error", () => {});
    child.stdout.on("error", () => {});
    child.stderr.on("error", () => {});
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      this.#errorOutput = (this.#errorOutput + text).slice(-errorOutputLimit);
    });
  }

  override _read(): void {
    this.#child.stdout.resume();
  }

  override _write(
    chunk: Buffer,
    encoding: BufferEncoding,
    callback: (error?: Error | null) => void,
  ): void {
    // After a failure the end of the process says more than the broken pipe.
    this.#child.stdin.write(chunk, encoding, (error) => {
      if (error === undefined || error === null) callback();
    });
  }

  override _final(callback: (error?: Error | null) => void): void {
    this.#child.stdin.end(callback);
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.#ending = true;
    void this.#endProcess(error, callback);
  }

  async #endProcess(error: Error | null, callback: (error?: Error | null) => void): Promise<void> {
    await endProcess(this.#child);
    callback(error);
  }

  async #endByItself(): Promise<void> {
    if (this.#ending) return;
    this.#ending = true;
    const child = this.#child;
    await Promise.race([closed(child), delay(graceMs, undefined, { ref: false })]);
    this.destroy(
      this.#explain({
        exitCode: child.exitCode ?? undefined,
        signal: child.signalCode ?? undefined,
        errorOutput: this.#errorOutput,
        hadData: this.#hadData,
      }),
    );
  }
}

/** Resolves when the process is gone and has said all. */
async function closed(child: ChildProcessWithoutNullStreams): Promise<void> {
  if (!isRunning(child) && child.stderr.closed) return;
  await event(child, "close");
}

async function endProcess(child: ChildProcessWithoutNullStreams): Promise<void> {
  child.stdin.destroy();
  if (isRunning(child)) {
    const exited = event(child, "exit");
    child.kill("SIGTERM");
    const timer = setTimeout(() => child.kill("SIGKILL"), graceMs);
    await exited;
    clearTimeout(timer);
  }
  child.stdout.destroy();
  child.stderr.destroy();
}

// Unlike `once` of node:events, a signal that could not be sent does not make it reject.
function event(child: ChildProcessWithoutNullStreams, name: "close" | "exit"): Promise<void> {
  return new Promise((resolve) => {
    child.once(name, () => resolve());
  });
}

function isRunning({ exitCode, signalCode }: ChildProcessWithoutNullStreams): boolean {
  return exitCode === null && signalCode === null;
}
