import { open, rm, type FileHandle } from "node:fs/promises";
import { ImageError } from "../image-error.ts";
import type { SegmentMark } from "../write/disk-sink.ts";

const VERSION = 2;
const SEGMENT_LINE = /^([0-9a-f]{64}) (\d{1,15}) (\d{1,15})$/;
const MAX_JOURNAL_BYTES = 64 * 1024 * 1024;

/** A segment of the disk that was stored. */
export interface StoredSegment {
  /** Root over its content. */
  readonly root: Buffer;
  readonly mark: SegmentMark;
}

/** What of a disk is on stable storage already, kept in a file of its own. */
export interface ResumeJournal extends AsyncDisposable {
  /** The segments that an earlier run recorded, from the beginning of the disk. */
  readonly segments: readonly StoredSegment[];
  /** Forgets all but the first `count` segments. */
  keep(count: number): Promise<void>;
  /** Records more segments, which must be on stable storage. */
  append(segments: readonly StoredSegment[]): Promise<void>;
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
    const segments = await readSegments(file, path, identity);
    const rewrite = async (count: number): Promise<void> => {
      const header = JSON.stringify({ version: VERSION, identity, process: process.pid });
      const lines = segments.slice(0, count).map(toLine);
      await file.truncate(0);
      await file.write([header, ...lines, ""].join("\n"));
      await file.sync();
    };
    await rewrite(segments.length);
    return {
      segments,
      keep: rewrite,
      append: async (more) => {
        await file.write(more.map((segment) => `${toLine(segment)}\n`).join(""));
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

function toLine({ root, mark }: StoredSegment): string {
  return `${root.toString("hex")} ${mark.end} ${mark.table}`;
}

async function readSegments(
  file: FileHandle,
  path: string,
  identity: string,
): Promise<readonly StoredSegment[]> {
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
  const segments: StoredSegment[] = [];
  for (const line of lines.slice(1)) {
    const [, root, end, table] = SEGMENT_LINE.exec(line) ?? [];
    if (root === undefined) break;
    segments.push({
      root: Buffer.from(root, "hex"),
      mark: { end: Number(end), table: Number(table) },
    });
  }
  return segments;
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
