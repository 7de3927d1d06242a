import { rm } from "node:fs/promises";
import { resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { isHostRunning, readHostRecord, type EmbeddedHostRecord } from "./embedded-host-record.ts";
import { LabError } from "./lab-error.ts";

const GRACE_MILLISECONDS = 10_000;
const POLL_MILLISECONDS = 20;

/**
 * Ends a host from whatever process: its guests, its daemon and its namespaces, and removes its directory.
 *
 * Also right for a host that has ended already and left its directory.
 *
 * @throws LabError `LAB_INVALID` when `directory` is not the directory of a host, `LAB_TIMEOUT` when its
 * first process cannot be ended.
 */
export async function removeEmbeddedHost(directory: string): Promise<void> {
  const path = resolve(directory);
  await endHost(await readHostRecord(path));
  await rm(path, { recursive: true, force: true });
}

/** Ends the first process of a host, and with it everything in its process namespace. */
export async function endHost(record: EmbeddedHostRecord): Promise<void> {
  for (const signal of ["SIGTERM", "SIGKILL"] as const) {
    if (!(await isHostRunning(record))) return;
    signalProcess(record.pid, signal);
    const deadline = Date.now() + GRACE_MILLISECONDS;
    while (Date.now() < deadline) {
      if (!(await isHostRunning(record))) return;
      await sleep(POLL_MILLISECONDS);
    }
  }
  throw new LabError("LAB_TIMEOUT", `Process ${record.pid} of host ${record.name} does not end.`);
}

function signalProcess(pid: number, signal: "SIGTERM" | "SIGKILL"): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    // Ended in the meantime.
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}
