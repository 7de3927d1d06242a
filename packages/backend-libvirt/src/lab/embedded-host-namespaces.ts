import { spawn, type ChildProcessByStdio } from "node:child_process";
import type { Readable, Writable } from "node:stream";
import { join } from "node:path";
import { INIT_FILE } from "./embedded-host-configuration.ts";
import { LabError } from "./lab-error.ts";
import { lastLines } from "./run-command.ts";

const MAXIMUM_MESSAGE_BYTES = 64 * 1024;

type HostProcess = ChildProcessByStdio<Writable | null, Readable, Readable>;

/** The running namespaces of a host. */
export interface HostNamespaces {
  /** First process of the namespaces, as seen from outside. */
  readonly pid: number;
  /** Whether that process has ended. */
  hasEnded(): boolean;
}

/** The environment of everything that a host starts by itself. */
export const HOST_ENVIRONMENT: Readonly<Record<string, string>> = {
  PATH: "/usr/sbin:/usr/bin:/sbin:/bin",
  LC_ALL: "C.UTF-8",
  HOME: "/root",
};

/**
 * Starts network, mount, UTS and process namespaces with the init script in the directory as first process.
 *
 * They do not keep the event loop of this process alive, and unless `detached` they end with it.
 *
 * @throws LabError `LAB_HOST_START_FAILED` with what the first process said, or the signal's reason.
 * Nothing is left running then.
 */
export async function startHostNamespaces(options: {
  readonly directory: string;
  readonly name: string;
  readonly detached: boolean;
  readonly signal: AbortSignal;
}): Promise<HostNamespaces> {
  const { directory, name, detached, signal } = options;
  signal.throwIfAborted();
  const child: HostProcess = spawn(
    "/usr/bin/unshare",
    [
      "--net",
      "--mount",
      "--uts",
      "--pid",
      "--fork",
      "--kill-child=KILL",
      "--",
      "/bin/sh",
      join(directory, INIT_FILE),
      directory,
      name,
      detached ? "detached" : "owner",
    ],
    {
      cwd: "/",
      env: HOST_ENVIRONMENT,
      // A session of its own: Ctrl-C in a terminal is for the program that owns the host.
      detached: true,
      // The kernel closes the input when the owner dies, however it dies.
      stdio: [detached ? "ignore" : "pipe", "pipe", "pipe"],
    },
  ) as HostProcess;
  // Closed after every holder of the pipes has ended, so not before the first process of the host.
  const closed = new Promise<void>((resolve) => child.once("close", () => resolve()));
  try {
    const pid = await readyPid(child, name, signal);
    let ended = false;
    child.once("exit", () => {
      ended = true;
    });
    release(child);
    return { pid, hasEnded: () => ended };
  } catch (error) {
    if (child.pid !== undefined) {
      killProcessGroup(child.pid);
      await closed;
    }
    throw error;
  }
}

function readyPid(child: HostProcess, name: string, signal: AbortSignal): Promise<number> {
  return new Promise((resolve, reject) => {
    let output = "";
    let messages = "";
    const settle = (action: () => void): void => {
      signal.removeEventListener("abort", abort);
      action();
    };
    const fail = (reason: string, cause?: unknown): void =>
      settle(() =>
        reject(
          new LabError("LAB_HOST_START_FAILED", `Host ${name} did not start: ${reason}`, { cause }),
        ),
      );
    const abort = (): void => settle(() => reject(signal.reason));
    signal.addEventListener("abort", abort, { once: true });
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      output = (output + text).slice(-MAXIMUM_MESSAGE_BYTES);
      const pid = /^ready (\d+)\n/m.exec(output)?.[1];
      if (pid !== undefined) settle(() => resolve(Number(pid)));
    });
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      messages = (messages + text).slice(-MAXIMUM_MESSAGE_BYTES);
    });
    child.once("error", (cause) => fail(cause.message, cause));
    child.once("close", () => fail(lastLines(messages, 10) || "its first process ended."));
  });
}

function release(child: HostProcess): void {
  child.stdout.destroy();
  child.stderr.destroy();
  child.unref();
  if (child.stdin !== null && "unref" in child.stdin && typeof child.stdin.unref === "function") {
    child.stdin.unref();
  }
}

function killProcessGroup(leader: number): void {
  try {
    process.kill(-leader, "SIGKILL");
  } catch (error) {
    // Ended by itself.
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}
