import { readFile } from "node:fs/promises";
import type { WriteStream } from "node:tty";
import type { Checksums } from "../http/checksum.ts";
import { ImageError, isImageError } from "../image-error.ts";
import { EXIT_STATUS, statusOfError } from "./exit-status.ts";
import { formatBytes } from "./format-quantity.ts";
import { parseCommandLine, USAGE, UsageError, type CommandLine } from "./parse-command-line.ts";
import type { ProgressBar } from "./progress-bar.ts";

/** What {@link runCommand} talks to. */
export interface CommandIo {
  /** Takes the result. */
  readonly print: (text: string) => void;
  /** Takes messages. */
  readonly say: (text: string) => void;
  /** Where progress is shown, if a person looks on. */
  readonly terminal: WriteStream | undefined;
  readonly signal: AbortSignal;
}

interface Outcome {
  readonly status: number;
  readonly json: Readonly<Record<string, unknown>>;
  readonly text: string;
}

/**
 * Runs `polyvisor-image` with `args`, which are those behind the name of the program. Returns its
 * exit status.
 */
export async function runCommand(args: readonly string[], io: CommandIo): Promise<number> {
  // Also when the arguments cannot be read, a program that reads JSON is to be told in JSON.
  const wantsJson = args.includes("--json");
  try {
    const command = parseCommandLine(args);
    if (command.action === "help") {
      io.print(USAGE);
      return EXIT_STATUS.well;
    }
    const outcome = await run(command, io);
    io.print(wantsJson ? `${JSON.stringify(outcome.json)}\n` : outcome.text);
    return outcome.status;
  } catch (error) {
    return reportFailure(error, wantsJson, io);
  }
}

function reportFailure(error: unknown, wantsJson: boolean, io: CommandIo): number {
  const failure = describeFailure(error, io.signal);
  if (wantsJson) {
    const { code, message } = failure;
    io.print(`${JSON.stringify({ error: { code, message } })}\n`);
  } else {
    io.say(`polyvisor-image: ${failure.message}\n`);
    if (error instanceof UsageError) io.say(USAGE);
  }
  return failure.status;
}

function describeFailure(
  error: unknown,
  signal: AbortSignal,
): { readonly status: number; readonly code: string; readonly message: string } {
  if (error instanceof UsageError) {
    return { status: EXIT_STATUS.usage, code: "USAGE", message: error.message };
  }
  if (signal.aborted && error === signal.reason) {
    return { status: EXIT_STATUS.interrupted, code: "INTERRUPTED", message: "interrupted" };
  }
  if (isImageError(error)) {
    return { status: statusOfError(error), code: error.code, message: error.message };
  }
  const message = error instanceof Error ? error.message : String(error);
  return { status: EXIT_STATUS.unexpected, code: "UNEXPECTED", message };
}

async function run(
  command: Exclude<CommandLine, { readonly action: "help" }>,
  io: CommandIo,
): Promise<Outcome> {
  const { source, caFile } = command;
  const caBundle = caFile === undefined ? undefined : await readAuthorities(caFile);
  const { signal } = io;
  if (command.action === "info") {
    const { describeImage } = await import("./describe-image.ts");
    return describeImage(source, { caBundle, signal });
  }
  const { checksum, member } = command;
  const algorithms = command.digest ? (["sha256"] as const) : [];
  const digests = { source: algorithms, content: command.digest };
  const common = { source, member, digests, checksum, caBundle, signal };
  using bar = command.json ? undefined : await showProgress(io.terminal);
  const onProgress = bar?.report;
  if (command.action === "check") {
    const { checkImage } = await import("../convert/check-image.ts");
    const checked = await checkImage({ ...common, onProgress });
    return success(checked, `${command.source}: no errors\n`);
  }
  const { convertImage } = await import("../convert/convert-image.ts");
  const { target, to, compress, resume } = command;
  const converted = await convertImage({ ...common, target, to, compress, resume, onProgress });
  const size = formatBytes(converted.storedBytes);
  return success(converted, `${target}: ${to}, ${size}\n`, {
    storedSize: converted.storedBytes,
    ...(converted.resumedBytes === 0 ? {} : { resumedSize: converted.resumedBytes }),
  });
}

interface Successful {
  readonly source: {
    readonly format: string;
    readonly wrappers: readonly string[];
    readonly digests?: Checksums;
  };
  readonly virtualSizeBytes: number;
  readonly dataBytes: number;
  readonly contentDigest?: string;
  readonly warnings: readonly string[];
}

function success(
  { source, virtualSizeBytes, dataBytes, contentDigest, warnings }: Successful,
  text: string,
  more: Readonly<Record<string, unknown>> = {},
): Outcome {
  const { format, wrappers, digests } = source;
  const json = {
    format,
    wrappers,
    virtualSize: virtualSizeBytes,
    dataSize: dataBytes,
    ...more,
    ...(digests === undefined ? {} : { sourceDigests: digests }),
    ...(contentDigest === undefined ? {} : { contentDigest }),
    warnings,
  };
  const lines = [
    text,
    ...Object.entries(digests ?? {}).map(([name, digest]) => `${name} of the source: ${digest}\n`),
    ...(contentDigest === undefined ? [] : [`content: ${contentDigest}\n`]),
    ...warnings.map((warning) => `warning: ${warning}\n`),
  ];
  return { status: EXIT_STATUS.well, json, text: lines.join("") };
}

async function showProgress(terminal: WriteStream | undefined): Promise<ProgressBar | undefined> {
  if (terminal === undefined) return undefined;
  const { openProgressBar } = await import("./progress-bar.ts");
  return openProgressBar(terminal);
}

async function readAuthorities(path: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (cause) {
    throw new ImageError("IMAGE_INVALID_ARGUMENT", `cannot read the certificates in "${path}"`, {
      cause,
    });
  }
}
