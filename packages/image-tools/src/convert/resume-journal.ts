import { open, rm, type FileHandle } from "node:fs/promises";
import { ImageError } from "../image-error.ts";

const VERSION = 1;
const ROOT_LINE = /^[0-9a-f]{64}$/;
const MAX_JOURNAL_BYTES = 64 * 1024 * 1024;

/** What of a disk is on stable storage already, kept in a file of its own. */
export interface ResumeJournal extends AsyncDisposable {
  /** Roots of the segments that an earlier run recorded, from the beginning of the disk. */
  readonly roots: readonly Buffer[];
  /** Forgets all but the first `count` segments. */
  keep(count: number): Promise<void>;
  /** Records more segments, which must be on stable storage. */
  append(roots: readonly Buffer[]): Promise<void>;
  /** Removes the file. */
  remove(): Promise<void>;
}

/**
 * Opens the journal at `path`, or begins a new one where there is none or where it is about another
 * conversion than `identity`.
 *
 * @throws ImageError `IMAGE_CONFLICT` while another process works with it, `IMAGE_IO`.
 */
export async function openResumeJournal(path: string, identity: string): Promise<ResumeJournal> {
  const file = await open(path, "a+", 0o640).catch((cause: unknown) => {
    throw new ImageError("IMAGE_IO", `cannot open "${path}"`, { cause });
  });
  try {
    const roots = await readRoots(file, path, identity);
    const rewrite = async (count: number): Promise<void> => {
      const header = JSON.stringify({ version: VERSION, identity, process: process.pid });
      const lines = roots.slice(0, count).map((root) => root.toString("hex"));
      await file.truncate(0);
      await file.write([header, ...lines, ""].join("\n"));
      await file.sync();
    };
    await rewrite(roots.length);
    return {
      roots,
      keep: rewrite,
      append: async (more) => {
        await file.write(more.map((root) => `${root.toString("hex")}\n`).join(""));
        await file.sync();
      },
      remove: () => rm(path, { force: true }),
      [Symbol.asyncDispose]: () => file.close(),
    };
  } catch (error) {
    await file.close();
    throw error;
  }
}

async function readRoots(
  file: FileHandle,
  path: string,
  identity: string,
): Promise<readonly Buffer[]> {
  const { size } = await file.stat();
  if (size > MAX_JOURNAL_BYTES) return [];
  const bytes = Buffer.alloc(size);
  await file.read(bytes, 0, size, 0);
  // What follows the last newline was not written completely.
  const lines = bytes.toString("latin1").split("\n").slice(0, -1);
  const header = parseHeader(lines[0]);
  if (header === undefined) return [];
  if (header.process !== process.pid && isRunning(header.process)) {
    throw new ImageError("IMAGE_CONFLICT", `process ${header.process} is at work with "${path}"`);
  }
  if (header.identity !== identity) return [];
  const roots: Buffer[] = [];
  for (const line of lines.slice(1)) {
    if (!ROOT_LINE.test(line)) break;
    roots.push(Buffer.from(line, "hex"));
  }
  return roots;
}

interface JournalHeader {
  readonly identity: string;
  readonly process: number;
}

function parseHeader(line: string | undefined): JournalHeader | undefined {
  if (line === undefined) return undefined;
  let header: unknown;
  try {
    header = JSON.parse(line);
  } catch {
    return undefined;
  }
  if (typeof header !== "object" || header === null) return undefined;
  const fields = header as Readonly<Record<string, unknown>>;
  const {
    version,
    identity,
    process: number,
  } = fields as {
    readonly version?: unknown;
    readonly identity?: unknown;
    readonly process?: unknown;
  };
  if (version !== VERSION || typeof identity !== "string" || typeof number !== "number") {
    return undefined;
  }
  return { identity, process: number };
}

function isRunning(processNumber: number): boolean {
  try {
    process.kill(processNumber, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}
