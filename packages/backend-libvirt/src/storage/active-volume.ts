import type { HostPool, PoolVolume } from "./host-pool.ts";
import { overlayName } from "./volume-names.ts";

/**
 * The file that has the present content of a volume: the volume itself, or the overlay in which a guest went on writing
 * and which could not be put back, because the guest or its host ended.
 */
export async function activeVolume(
  pool: HostPool,
  volume: PoolVolume,
  signal: AbortSignal,
): Promise<PoolVolume> {
  if (pool.settings.content === "block") return volume;
  const overlay = await pool.volume(overlayName(volume.handle.name), signal);
  return overlay?.backingPath === volume.path ? overlay : volume;
}
