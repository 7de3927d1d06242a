import { lstat } from "node:fs/promises";
import { hostname } from "node:os";
import { nodeCrypto } from "../lazy-builtins.ts";

const FOREIGN_IMPORT_LIFETIME_MS = 24 * 60 * 60 * 1000;
const PATTERN = /^\.(?:import|delete)-(.+)-(\d+)-(\d+)-[-0-9a-f]{36}$/;

/** Who is working in a directory: a process, told apart from a later one with the same number. */
export interface DirectoryOwner {
  readonly host: string;
  readonly pid: number;
  /** When the process started, in milliseconds since 1970. */
  readonly startedAt: number;
}

/** This process. */
export function currentOwner(): DirectoryOwner {
  const host =
    hostname()
      .replaceAll(/[^A-Za-z0-9.]/g, "_")
      .slice(0, 64) || "_";
  return { host, pid: process.pid, startedAt: Math.floor(performance.timeOrigin) };
}

/** A fresh name for a working directory; no image name begins with a dot. */
export function workDirectoryName(purpose: "import" | "delete", owner: DirectoryOwner): string {
  return `.${purpose}-${owner.host}-${owner.pid}-${owner.startedAt}-${nodeCrypto().randomUUID()}`;
}

/**
 * Whether the entry `name` of a store's directory is a working directory that nobody will finish:
 * its process is gone or, where that cannot be known because it ran on another host, it has not
 * been touched for a day.
 */
export async function isAbandoned(
  path: string,
  name: string,
  self: DirectoryOwner,
  isAlive: (pid: number) => boolean = isProcessAlive,
): Promise<boolean> {
  const match = PATTERN.exec(name);
  if (match === null) return false;
  const [, host, pidText, startedAtText] = match;
  if (host !== self.host) {
    const status = await lstat(path).catch(() => undefined);
    return status !== undefined && Date.now() - status.mtimeMs > FOREIGN_IMPORT_LIFETIME_MS;
  }
  const pid = Number(pidText);
  return pid === self.pid ? Number(startedAtText) !== self.startedAt : !isAlive(pid);
}

function isProcessAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}
