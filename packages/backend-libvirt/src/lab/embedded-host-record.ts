import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { LabError } from "./lab-error.ts";
import { processStartTime } from "./namespace-processes.ts";

/** What a host's directory says about its first process, for whoever removes it later. */
export interface EmbeddedHostRecord {
  /** Name of the host. */
  readonly name: string;
  /** Its first process, as seen from outside. */
  readonly pid: number;
  /** When that process started, in clock ticks since boot: tells it from a later one of the same id. */
  readonly startTime: number;
  /** The boot of the machine in which it runs. */
  readonly bootId: string;
}

const RECORD = "host.json";

/** Writes the record of a host whose first process runs. */
export async function writeHostRecord(
  directory: string,
  name: string,
  pid: number,
): Promise<EmbeddedHostRecord> {
  const startTime = await processStartTime(pid);
  if (startTime === undefined) {
    throw new LabError("LAB_HOST_STOPPED", `Process ${pid} of host ${name} has ended.`);
  }
  const record: EmbeddedHostRecord = { name, pid, startTime, bootId: await bootId() };
  await writeFile(join(directory, RECORD), `${JSON.stringify(record)}\n`);
  return record;
}

/**
 * The record in a host's directory.
 *
 * @throws LabError `LAB_INVALID` when this is not the directory of a host.
 */
export async function readHostRecord(directory: string): Promise<EmbeddedHostRecord> {
  const invalid = (cause?: unknown): LabError =>
    new LabError("LAB_INVALID", `${directory} is not the directory of an embedded host.`, {
      cause,
    });
  const text = await readFile(join(directory, RECORD), "utf8").catch((cause: unknown) => {
    throw invalid(cause);
  });
  let record: unknown;
  try {
    record = JSON.parse(text);
  } catch (cause) {
    throw invalid(cause);
  }
  if (!isHostRecord(record)) throw invalid();
  return record;
}

/** Whether the first process of the recorded host still runs. */
export async function isHostRunning(record: EmbeddedHostRecord): Promise<boolean> {
  return (
    record.bootId === (await bootId()) && record.startTime === (await processStartTime(record.pid))
  );
}

function isHostRecord(value: unknown): value is EmbeddedHostRecord {
  if (typeof value !== "object" || value === null) return false;
  const record = value as Partial<Record<keyof EmbeddedHostRecord, unknown>>;
  return (
    typeof record.name === "string" &&
    Number.isSafeInteger(record.pid) &&
    Number(record.pid) > 1 &&
    typeof record.startTime === "number" &&
    typeof record.bootId === "string"
  );
}

async function bootId(): Promise<string> {
  return (await readFile("/proc/sys/kernel/random/boot_id", "utf8")).trim();
}
