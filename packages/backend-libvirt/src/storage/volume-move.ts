import { type GuestRef, PolyvisorError } from "@polyvisor/core";
import type { LibvirtHost } from "../host/libvirt-host.ts";
import { runningDisk } from "./running-disk.ts";
import { activeVolume } from "./active-volume.ts";
import type { FoundVolume, VolumePlace } from "./volume-places.ts";
import type { PoolVolume } from "./host-pool.ts";

/** Where a volume is to go while a guest runs on it. */
export interface VolumeMove {
  readonly storageClass: string;
  /** The running guest that has the volume. */
  readonly attachedTo: { readonly guest: GuestRef; readonly host: string };
}

/**
 * Moves a volume to another pool of the host on which a guest runs with it, while it runs. Until the guest writes to the
 * new place the volume is at the former one, and a move that fails changes nothing.
 */
export async function moveVolume(
  from: FoundVolume,
  to: VolumePlace,
  { attachedTo }: VolumeMove,
  host: LibvirtHost,
  signal: AbortSignal,
): Promise<PoolVolume> {
  const { name } = from.volume.handle;
  const active = await activeVolume(from.pool, from.volume, signal);
  const domain = await host.domain(attachedTo.guest.uid, signal);
  const isGuest = domain?.state?.incarnation === attachedTo.guest.incarnation;
  const disk = isGuest ? await runningDisk(host, domain, [active.path], signal) : undefined;
  if (disk === undefined) {
    throw new PolyvisorError(
      "POLYVISOR_REFUSED",
      `guest ${attachedTo.guest.uid} does not run on host "${host.name}" with volume "${name}"`,
    );
  }
  const { sizeBytes } = active;
  await to.pool.hide(name, signal);
  try {
    const made = await to.pool.make({ name, sizeBytes, format: "raw" }, signal);
    const type = to.pool.settings.content;
    await disk.moveTo({ path: made.path, format: "raw", type }, signal);
  } catch (error) {
    await to.pool.delete(name, new AbortController().signal);
    throw error;
  }
  await to.pool.show(name, signal);
  await from.pool.delete(name, signal);
  const moved = await to.pool.volume(name, signal);
  if (moved) return moved;
  throw new PolyvisorError("POLYVISOR_REFUSED", `volume "${name}" has vanished after it was moved`);
}
