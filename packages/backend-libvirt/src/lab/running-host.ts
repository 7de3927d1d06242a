import { rm } from "node:fs/promises";
import type { EmbeddedHost, EmbeddedHostDescription } from "./embedded-host.ts";
import { killDaemon, startDaemon } from "./embedded-host-daemon.ts";
import { daemonSocketPath } from "./embedded-host-directory.ts";
import type { HostNamespaces } from "./embedded-host-namespaces.ts";
import { writeHostRecord, type EmbeddedHostRecord } from "./embedded-host-record.ts";
import { endHost } from "./embedded-host-removal.ts";
import type { HostLink } from "./host-link.ts";
import { LabError } from "./lab-error.ts";
import { runCommand, type CommandResult, type RunCommandOptions } from "./run-command.ts";

const RESTART_MILLISECONDS = 60_000;

/** An {@link EmbeddedHost} over the namespaces that it has taken over. */
export class RunningHost implements EmbeddedHost {
  readonly name: string;
  readonly directory: string;
  readonly socketPath: string;
  readonly uri: string;
  readonly pid: number;
  readonly shellCommand: readonly string[];
  readonly #namespaces: HostNamespaces;
  readonly #link: HostLink | undefined;
  #record: EmbeddedHostRecord | undefined;
  #disposal: Promise<void> | undefined;

  constructor(
    name: string,
    directory: string,
    namespaces: HostNamespaces,
    link: HostLink | undefined,
  ) {
    this.name = name;
    this.directory = directory;
    this.socketPath = daemonSocketPath(directory);
    const socket = encodeURIComponent(this.socketPath).replaceAll("%2F", "/");
    this.uri = `qemu+unix:///system?socket=${socket}`;
    this.pid = namespaces.pid;
    this.shellCommand = [...this.#enter(), "/bin/bash"];
    this.#namespaces = namespaces;
    this.#link = link;
  }

  /** Leaves the record for others, joins the network if there is one, and starts the daemon. */
  async start(signal: AbortSignal): Promise<void> {
    this.#record = await writeHostRecord(this.directory, this.name, this.pid);
    await this.#link?.connect(this.pid, signal);
    await startDaemon(this, this.#link !== undefined, signal);
  }

  async run(
    command: string,
    commandArguments: readonly string[],
    options: RunCommandOptions = {},
  ): Promise<CommandResult> {
    this.#assertRunning();
    // nsenter waits outside for its child inside, which must not outlive it when a signal kills it.
    const guard = ["setpriv", "--pdeathsig", "KILL", "--"];
    const [program = "nsenter", ...enter] = this.#enter();
    return runCommand(program, [...enter, ...guard, command, ...commandArguments], options);
  }

  async killDaemon(): Promise<void> {
    this.#assertRunning();
    await killDaemon(this);
  }

  async restartDaemon(options: { readonly signal?: AbortSignal | undefined } = {}): Promise<void> {
    await this.killDaemon();
    const bound = AbortSignal.timeout(RESTART_MILLISECONDS);
    const { signal } = options;
    const limit = signal === undefined ? bound : AbortSignal.any([signal, bound]);
    await startDaemon(this, this.#link !== undefined, limit);
  }

  describe(): EmbeddedHostDescription {
    const { name, uri, socketPath, directory, pid, shellCommand } = this;
    const removeCommand = ["kill", String(pid)];
    return { name, uri, socketPath, directory, pid, shellCommand, removeCommand };
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#disposal ??= this.#dispose();
    return this.#disposal;
  }

  async #dispose(): Promise<void> {
    if (this.#record !== undefined) await endHost(this.#record);
    await rm(this.directory, { recursive: true, force: true });
  }

  #enter(): readonly string[] {
    return ["nsenter", "-t", String(this.pid), "-n", "-m", "-u", "-p", "--"];
  }

  #assertRunning(): void {
    if (this.#disposal !== undefined || this.#namespaces.hasEnded()) {
      throw new LabError("LAB_HOST_STOPPED", `Host ${this.name} has ended.`);
    }
  }
}
