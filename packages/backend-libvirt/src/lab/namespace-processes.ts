import { readdir, readFile, readlink } from "node:fs/promises";

/** One process of a process namespace. */
export interface NamespaceProcess {
  /** Process id as seen by this process. */
  readonly pid: number;
  /** Process id inside the namespace. */
  readonly innerPid: number;
}

/** All processes in the process namespace of `pid`, that one included; empty when it has ended. */
export async function processesInNamespaceOf(pid: number): Promise<readonly NamespaceProcess[]> {
  const namespace = await processNamespace(pid);
  if (namespace === undefined) return [];
  const entries = (await readdir("/proc")).filter((entry) => /^\d+$/.test(entry));
  const processes = await Promise.all(
    entries.map(async (entry) => {
      if ((await processNamespace(Number(entry))) !== namespace) return undefined;
      const status = await readFile(`/proc/${entry}/status`, "utf8").catch(() => "");
      const innerPid = innermostPid(status);
      return innerPid === undefined ? undefined : { pid: Number(entry), innerPid };
    }),
  );
  return processes.filter((process) => process !== undefined);
}

/** The process id in the innermost namespace, out of /proc/PID/status (proc(5), `NSpid`). */
export function innermostPid(status: string): number | undefined {
  const numbers = /^NSpid:\s*([\d\s]+?)$/m.exec(status)?.[1]?.split(/\s+/);
  const last = numbers?.at(-1);
  return last === undefined ? undefined : Number(last);
}

/**
 * When a process started, in clock ticks since boot (proc(5), /proc/PID/stat field 22); `undefined` when
 * it has ended. Together with the process id it names one process for as long as the machine is up.
 */
export async function processStartTime(pid: number): Promise<number | undefined> {
  const stat = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => undefined);
  if (stat === undefined) return undefined;
  // The command name, in parentheses, may hold spaces and parentheses itself.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const [state, startTime] = [fields[0], fields[19]];
  return state === "Z" || state === "X" || startTime === undefined ? undefined : Number(startTime);
}

async function processNamespace(pid: number): Promise<string | undefined> {
  return readlink(`/proc/${pid}/ns/pid`).catch(() => undefined);
}
