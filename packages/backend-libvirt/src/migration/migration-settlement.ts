import type { LibvirtHost } from "../host/libvirt-host.ts";
import type { MigrationMark } from "./migration-mark.ts";

interface MovedGuest {
  readonly uid: string;
  readonly source: LibvirtHost;
  readonly target: LibvirtHost;
}

/** Removes what is left of a guest on the host that it has left. Can be repeated. */
export async function settleArrival(
  { uid, source, target }: MovedGuest,
  { copied }: MigrationMark,
  signal: AbortSignal,
): Promise<void> {
  for (const { className, name } of copied.map(readVolume)) {
    // First it is seen there, then not here any more: never nowhere.
    await target.pools.get(className)?.show(name, signal);
    await source.pools.get(className)?.delete(name, signal);
  }
  await removeMedia(source, uid, signal);
  await source.networks.releaseAll(signal);
}

/** Removes what was made at the target for a guest that did not get there. Can be repeated. */
export async function undoPreparation(
  { uid, target }: MovedGuest,
  { copied }: MigrationMark,
  signal: AbortSignal,
): Promise<void> {
  for (const { className, name } of copied.map(readVolume)) {
    await target.pools.get(className)?.delete(name, signal);
  }
  await removeMedia(target, uid, signal);
}

/** Files of a guest that are no volumes are named after it. */
async function removeMedia(host: LibvirtHost, uid: string, signal: AbortSignal): Promise<void> {
  const names = await host.pool.names(signal);
  for (const name of names.filter((each) => each.includes(uid))) {
    await host.pool.delete(name, signal);
  }
}

function readVolume(copied: string): { readonly className: string; readonly name: string } {
  const separator = copied.lastIndexOf("/");
  return { className: copied.slice(0, separator), name: copied.slice(separator + 1) };
}
