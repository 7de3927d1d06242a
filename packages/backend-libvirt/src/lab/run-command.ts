import { spawn } from "node:child_process";
import { constants } from "node:os";
import { LabError } from "./lab-error.ts";

/** What a program left behind when it ended. */
export interface CommandResult {
  /** Standard output, decoded as UTF-8. */
  readonly stdout: string;
  /** Standard error, decoded as UTF-8. */
  readonly stderr: string;
  /** The exit status; 128 + the signal's number when a signal ended the program. */
  readonly exitCode: number;
}

/** Options of {@link runCommand}. */
export interface RunCommandOptions {
  /** Kills the program; the promise then rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
  /** Written to standard input. Default: standard input is empty. */
  readonly input?: string | Uint8Array | undefined;
  /** The whole environment. Default: that of this process. */
  readonly environment?: NodeJS.ProcessEnv | undefined;
  /** Working directory. Default: that of this process. */
  readonly directory?: string | undefined;
  /** Bytes kept of standard output and of standard error, each; more ends the program. Default: 16 MiB. */
  readonly maximumOutputBytes?: number | undefined;
}

const DEFAULT_MAXIMUM_OUTPUT_BYTES = 16 * 1024 * 1024;

/**
 * Runs a program with an argument array (never through a shell) and waits for its end.
 *
 * A non-zero exit status is a result, not an error; see {@link runChecked}.
 *
 * @throws LabError `LAB_COMMAND_FAILED` when the program cannot be started or writes too much.
 */
export function runCommand(
  command: string,
  commandArguments: readonly string[],
  options: RunCommandOptions = {},
): Promise<CommandResult> {
  const { signal, maximumOutputBytes = DEFAULT_MAXIMUM_OUTPUT_BYTES } = options;
  return new Promise((resolve, reject) => {
    if (signal?.aborted) {
      reject(signal.reason);
      return;
    }
    const child = spawn(command, commandArguments, {
      cwd: options.directory,
      env: options.environment ?? process.env,
      stdio: ["pipe", "pipe", "pipe"],
    });
    let failure: unknown;
    const fail = (error: unknown): void => {
      failure ??= error;
      child.kill("SIGKILL");
    };
    const collect = (stream: NodeJS.ReadableStream): Buffer[] => {
      const chunks: Buffer[] = [];
      let size = 0;
      stream.on("data", (chunk: Buffer) => {
        size += chunk.length;
        if (size <= maximumOutputBytes) chunks.push(chunk);
        else
          fail(
            new LabError(
              "LAB_COMMAND_FAILED",
              `${command} wrote more than ${maximumOutputBytes} bytes.`,
            ),
          );
      });
      return chunks;
    };
    const stdout = collect(child.stdout);
    const stderr = collect(child.stderr);
    const abort = (): void => fail(signal?.reason);
    signal?.addEventListener("abort", abort, { once: true });
    child.on("error", (cause) => {
      failure ??= new LabError(
        "LAB_COMMAND_FAILED",
        `${command} could not be started: ${cause.message}`,
        { cause },
      );
      if (child.pid === undefined) {
        signal?.removeEventListener("abort", abort);
        reject(failure);
      }
    });
    child.on("close", (status, signalName) => {
      signal?.removeEventListener("abort", abort);
      if (failure !== undefined) {
        reject(failure);
        return;
      }
      resolve({
        stdout: Buffer.concat(stdout).toString("utf8"),
        stderr: Buffer.concat(stderr).toString("utf8"),
        exitCode: status ?? 128 + (signalName === null ? 0 : constants.signals[signalName]),
      });
    });
    // A program may end without reading its input; that is its own affair.
    child.stdin.on("error", () => undefined);
    child.stdin.end(options.input);
  });
}

/**
 * Like {@link runCommand}, for programs that must succeed.
 *
 * @throws LabError `LAB_COMMAND_FAILED` with the end of standard error when the exit status is not 0.
 */
export async function runChecked(
  command: string,
  commandArguments: readonly string[],
  options: RunCommandOptions = {},
): Promise<CommandResult> {
  const result = await runCommand(command, commandArguments, options);
  if (result.exitCode !== 0) {
    throw new LabError(
      "LAB_COMMAND_FAILED",
      `${[command, ...commandArguments].join(" ")} ended with status ${result.exitCode}: ` +
        lastLines(result.stderr || result.stdout, 10),
    );
  }
  return result;
}

/** The last `count` lines of a text that are not empty. */
export function lastLines(text: string, count: number): string {
  const lines = text.split("\n").filter((line) => line.trim() !== "");
  return lines.slice(-count).join("\n");
}
