import { type AccessMode, PolyvisorError } from "@polyvisor/core";
import type { HostPool } from "./host-pool.ts";

/** What is noted beside a volume of a shared pool: an empty volume with the name of that volume and one of these. */
const MANY = ".many";
const ATTACHED = ".attached.";

/** Notes that several hosts may have a volume at once. */
export async function allowMany(pool: HostPool, name: string, signal: AbortSignal): Promise<void> {
  await pool.make({ name: name + MANY, sizeBytes: 512, format: "raw" }, signal);
}

/** By how many hosts a volume of the pool can be used at once. */
export async function accessModeOf(
  pool: HostPool,
  name: string,
  signal: AbortSignal,
): Promise<AccessMode> {
  if (!pool.settings.shared) return "ReadWriteOnce";
  return (await pool.names(signal)).includes(name + MANY) ? "ReadWriteMany" : "ReadWriteOnce";
}

/**
 * Notes that a host has a volume of a shared pool.
 *
 * @throws `POLYVISOR_REFUSED` when another host has it, and only one may.
 */
export async function hold(
  pool: HostPool,
  name: string,
  host: string,
  signal: AbortSignal,
): Promise<void> {
  if ((await accessModeOf(pool, name, signal)) === "ReadWriteMany") return;
  const prefix = name + ATTACHED;
  const own = prefix + host;
  await pool.make({ name: own, sizeBytes: 512, format: "raw" }, signal);
  // Looked at after one's own note is there, so that of two hosts at most one goes on.
  const other = (await pool.names(signal)).find((each) => each.startsWith(prefix) && each !== own);
  if (other === undefined) return;
  await pool.delete(own, signal);
  throw new PolyvisorError(
    "POLYVISOR_REFUSED",
    `volume "${name}" is attached to host "${other.slice(prefix.length)}" and can be used on one host at a time: detach it there, or make it ReadWriteMany`,
  );
}

/** Undoes {@link hold}. */
export async function letGo(
  pool: HostPool,
  name: string,
  host: string,
  signal: AbortSignal,
): Promise<void> {
  await pool.delete(name + ATTACHED + host, signal);
}

/** Removes every note about a volume. */
export async function forgetHolders(
  pool: HostPool,
  name: string,
  signal: AbortSignal,
): Promise<void> {
  if (!pool.settings.shared) return;
  for (const each of await pool.names(signal)) {
    if (each === name + MANY || each.startsWith(name + ATTACHED)) await pool.delete(each, signal);
  }
}
