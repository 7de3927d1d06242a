import type { VirtualDisk } from "../api/virtual-disk.ts";

/** Names snapshots by their disk: an index of their cache. */
export const DISK_SNAPSHOT_SOURCE = "disk";

/** Why no snapshot of a disk can be taken now, if that is so. */
export function diskProblem(disk: VirtualDisk | undefined, name: string): string | undefined {
  const what = `VirtualDisk ${JSON.stringify(name)}`;
  if (disk === undefined) return `${what} does not exist: create it or correct the name.`;
  if (disk.metadata.deletionTimestamp !== undefined) return `${what} is being deleted.`;
  const phase = disk.status?.phase ?? "Pending";
  if (phase === "Ready") return undefined;
  return `${what} is ${phase}: waiting for it to be Ready.`;
}
