import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { DAEMON_LOG } from "./embedded-host-configuration.ts";
import { daemonSocketPath } from "./embedded-host-directory.ts";
import { HOST_ENVIRONMENT } from "./embedded-host-namespaces.ts";
import { LabError } from "./lab-error.ts";
import { processesInNamespaceOf, processStartTime } from "./namespace-processes.ts";
import {
  lastLines,
  runCommand,
  type CommandResult,
  type RunCommandOptions,
} from "./run-command.ts";

const PID_FILE = "run/libvirt/libvirtd.pid";
const KILL_MILLISECONDS = 10_000;
const POLL_MILLISECONDS = 20;

/** What the daemon's functions need to know of their host. */
export interface DaemonHost {
  readonly name: string;
  readonly directory: string;
  readonly uri: string;
  /** First process of the host, as seen from outside. */
  readonly pid: number;
  run(
    command: string,
    commandArguments: readonly string[],
    options?: RunCommandOptions,
  ): Promise<CommandResult>;
}

/**
 * Starts libvirtd inside a host and waits until it answers a client outside. On the network of a lab it also listens for
 * the other hosts, and virtlockd runs beside it.
 *
 * @throws LabError `LAB_HOST_START_FAILED` with the end of the daemon's log, or the signal's reason.
 */
export async function startDaemon(
  host: DaemonHost,
  networked: boolean,
  signal: AbortSignal,
): Promise<void> {
  const options = { signal, environment: HOST_ENVIRONMENT };
  if (networked) await startLockDaemon(host, signal);
  const listening = networked ? ["--listen"] : [];
  const commandArguments = ["--daemon", "--pid-file", "/run/libvirt/libvirtd.pid", ...listening];
  const started = await host.run("/usr/sbin/libvirtd", commandArguments, options);
  if (started.exitCode !== 0) throw await startFailure(host, started);
  // The socket takes connections before the drivers are up; opening one waits for them.
  const answer = await runCommand("virsh", ["--connect", host.uri, "version"], options);
  if (answer.exitCode !== 0) throw await startFailure(host, answer);
}

/** It outlives libvirtd, as it holds the locks of running guests. */
async function startLockDaemon(host: DaemonHost, signal: AbortSignal): Promise<void> {
  const options = { signal, environment: HOST_ENVIRONMENT };
  const pidFile = "/run/libvirt/virtlockd.pid";
  const check = await host.run("/bin/sh", ["-c", `[ -e ${pidFile} ]`], options);
  if (check.exitCode === 0) return;
  const started = await host.run("/usr/sbin/virtlockd", ["-d", "-p", pidFile], options);
  if (started.exitCode !== 0) throw await startFailure(host, started);
}

/** Kills the daemon of a host as a crash would, and waits for its end. Guests and networks go on. */
export async function killDaemon(host: DaemonHost): Promise<void> {
  const innerPid = Number(await readFile(join(host.directory, PID_FILE), "utf8").catch(() => "0"));
  const processes = await processesInNamespaceOf(host.pid);
  const daemon = processes.find((process) => process.innerPid === innerPid);
  if (daemon !== undefined) {
    process.kill(daemon.pid, "SIGKILL");
    const deadline = Date.now() + KILL_MILLISECONDS;
    while ((await processStartTime(daemon.pid)) !== undefined) {
      if (Date.now() > deadline) {
        throw new LabError("LAB_TIMEOUT", `The daemon of host ${host.name} does not end.`);
      }
      await sleep(POLL_MILLISECONDS);
    }
  }
  await rm(join(host.directory, PID_FILE), { force: true });
  await rm(daemonSocketPath(host.directory), { force: true });
}

async function startFailure(host: DaemonHost, result: CommandResult): Promise<LabError> {
  const log = await readFile(join(host.directory, DAEMON_LOG), "utf8").catch(() => "");
  return new LabError(
    "LAB_HOST_START_FAILED",
    `The daemon of host ${host.name} did not start: ${lastLines(result.stderr, 5)}\nIts log ends with:\n${lastLines(log, 15)}`,
  );
}
