import type { CommandResult, RunCommandOptions } from "./run-command.ts";

/** Options of `startEmbeddedHost`. */
export interface EmbeddedHostOptions {
  /** Host name: letters, digits and inner hyphens, at most 63. Default: `host-` and 8 random hex digits. */
  readonly name?: string | undefined;
  /** A new or empty directory for the host's files; removed with the host. Default: a new temporary one. */
  readonly directory?: string | undefined;
  /** The host goes on after this process, until `removeEmbeddedHost`. Default: false. */
  readonly detached?: boolean | undefined;
  /** Whether missing Debian packages may be installed. Default: true. */
  readonly install?: boolean | undefined;
  /** Bound of the start, after packages are there, in milliseconds. Default: 60000. */
  readonly timeoutMilliseconds?: number | undefined;
  /** Gives up the start; nothing of it is left. Later it has no effect. */
  readonly signal?: AbortSignal | undefined;
  /** Told in a sentence what goes on. */
  readonly onProgress?: ((message: string) => void) | undefined;
}

/** How to reach and how to remove a host, from outside this process. */
export interface EmbeddedHostDescription {
  readonly name: string;
  readonly uri: string;
  readonly socketPath: string;
  readonly directory: string;
  readonly pid: number;
  /** The command line that opens a shell inside, as an argument array. */
  readonly shellCommand: readonly string[];
  /** The command line that ends the host and removes its directory, as an argument array. */
  readonly removeCommand: readonly string[];
}

/** A private libvirt daemon with QEMU in namespaces of its own. Disposing of it leaves nothing behind. */
export interface EmbeddedHost extends AsyncDisposable {
  /** Host name inside, also libvirt's. */
  readonly name: string;
  /** The daemon's socket, reachable from outside the namespaces. */
  readonly socketPath: string;
  /** The libvirt URI of the daemon (libvirt, "Connection URIs"). */
  readonly uri: string;
  /** All files of the host: `etc`, `lib`, `cache` and `log` are its libvirt folders, `run` its /run. */
  readonly directory: string;
  /** First process of the host, as seen from outside. */
  readonly pid: number;
  /** The command line that opens a shell inside, as an argument array. */
  readonly shellCommand: readonly string[];

  /**
   * Runs a program inside the host and waits for its end; it dies with the host. Paths are absolute;
   * standard input is a socket, so `/dev/stdin` cannot be opened by name: put a file below `directory`.
   *
   * @throws LabError `LAB_HOST_STOPPED` when the host has ended.
   */
  run(
    command: string,
    commandArguments: readonly string[],
    options?: RunCommandOptions,
  ): Promise<CommandResult>;

  /** Kills the daemon as a crash would. Guests and networks go on. */
  killDaemon(): Promise<void>;

  /** Kills the daemon if it runs and starts it again in the same namespaces. Guests and networks go on. */
  restartDaemon(options?: { readonly signal?: AbortSignal | undefined }): Promise<void>;

  /** How to reach and how to remove the host, for a person or another process. */
  describe(): EmbeddedHostDescription;
}
