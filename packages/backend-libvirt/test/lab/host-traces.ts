import { access, readdir, readFile, readlink } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";

/** What a host is made of, as seen from outside, to look for later. */
export interface HostTraces {
  readonly directory: string;
  readonly namespaces: readonly string[];
}

/** Takes the traces of a running host. */
export async function tracesOf(host: {
  readonly directory: string;
  readonly pid: number;
}): Promise<HostTraces> {
  const kinds = ["net", "mnt", "uts", "pid"];
  const namespaces = await Promise.all(
    kinds.map((kind) => readlink(`/proc/${host.pid}/ns/${kind}`)),
  );
  return { directory: host.directory, namespaces };
}

/** Everything that is still there of a host: processes in its namespaces, mounts and its directory. */
export async function leftovers(traces: HostTraces): Promise<readonly string[]> {
  const found: string[] = [];
  const processes = (await readdir("/proc")).filter((entry) => /^\d+$/.test(entry));
  for (const pid of processes) {
    const links = await readdir(`/proc/${pid}/ns`).catch(() => []);
    const targets = await Promise.all(
      links.map((link) => readlink(`/proc/${pid}/ns/${link}`).catch(() => "")),
    );
    const command = await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "");
    const inside = targets.some((target) => traces.namespaces.includes(target));
    if (inside || command.includes(traces.directory)) found.push(`process ${pid}: ${command}`);
  }
  const mounts = (await readFile("/proc/self/mountinfo", "utf8")).split("\n");
  found.push(...mounts.filter((mount) => mount.includes(traces.directory)));
  const exists = await access(traces.directory).then(
    () => true,
    () => false,
  );
  if (exists) found.push(traces.directory);
  return found;
}

/** Like {@link leftovers}, after waiting up to 10 s for nothing to be left. */
export async function lastingLeftovers(traces: HostTraces): Promise<readonly string[]> {
  const deadline = Date.now() + 10_000;
  for (;;) {
    const found = await leftovers(traces);
    if (found.length === 0 || Date.now() > deadline) return found;
    await sleep(50);
  }
}
