/** What the files of a snapshot and of its volume are called. The names of volumes have no dots. */
export interface SnapshotFile {
  readonly snapshot: string;
  readonly volume: string;
}

/** The name of the volume of a pool that keeps the content of a snapshot. */
export function snapshotFileName({ snapshot, volume }: SnapshotFile): string {
  return `${snapshot}.snapshot.${volume}`;
}

/** Reads the name of a snapshot's file; `undefined` for other names. */
export function parseSnapshotFileName(name: string): SnapshotFile | undefined {
  const [snapshot, kind, volume, ...rest] = name.split(".");
  if (kind !== "snapshot" || !snapshot || !volume || rest.length > 0) return undefined;
  return { snapshot, volume };
}

/** The name of the file that takes up what a running guest writes while its volume is being copied. */
export function overlayName(volume: string): string {
  return `${volume}.overlay`;
}

/** The name of the file that a qcow2 volume is unfolded into for reading. */
export function unfoldedName(volume: string): string {
  return `${volume}.unfolded`;
}
