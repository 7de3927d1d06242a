import { PolyvisorError, type VolumeSource, type VolumeSpec } from "@polyvisor/core";
import { translated } from "../host/translate-error.ts";
import { activeVolume } from "./active-volume.ts";
import type { PoolVolume } from "./host-pool.ts";
import type { VolumePlan } from "./volume-xml.ts";
import type { FoundVolume, VolumePlace, VolumePlaces } from "./volume-places.ts";
import type { PoolSnapshots } from "./volume-snapshots.ts";

/**
 * Makes a volume that is not there. From a snapshot in the same pool of files it becomes a thin clone, which shows the
 * snapshot where it has nothing of its own; from anything else a whole copy.
 */
export async function createVolume(
  places: VolumePlaces,
  snapshots: PoolSnapshots,
  spec: VolumeSpec,
  signal: AbortSignal,
): Promise<FoundVolume> {
  const { name, sizeBytes, source } = spec;
  const plan: VolumePlan = { name, sizeBytes, format: "raw" };
  if (source === undefined) {
    const place = await placeFor(places, spec, signal);
    const volume = await translated(place.host.name, () => place.pool.make(plan, signal));
    return { ...place, volume };
  }
  const origin = await findSource(places, snapshots, source, signal);
  if (origin.volume.sizeBytes > sizeBytes) {
    const message = `${source.type} "${source.name}" has ${origin.volume.sizeBytes} bytes, and volume "${name}" is to have ${sizeBytes}`;
    throw new PolyvisorError("POLYVISOR_INVALID", message);
  }
  const place = beside(places, origin, spec);
  const { host, pool } = place;
  const volume = await translated(host.name, async (): Promise<PoolVolume> => {
    const isThin =
      source.type === "snapshot" && pool === origin.pool && pool.settings.content === "file";
    if (!isThin) return pool.copy(plan, origin.volume, signal);
    const { path, format } = origin.volume;
    return pool.make({ ...plan, format: "qcow2", backing: { path, format } }, signal);
  });
  return { ...place, volume };
}

async function findSource(
  places: VolumePlaces,
  snapshots: PoolSnapshots,
  { type, name }: VolumeSource,
  signal: AbortSignal,
): Promise<FoundVolume> {
  if (type === "volume") {
    const found = await places.require(name, signal);
    const { host, pool, volume } = found;
    const active = await translated(host.name, () => activeVolume(pool, volume, signal));
    return { ...found, volume: active };
  }
  const found = await snapshots.find(name, signal);
  if (found) return found;
  throw new PolyvisorError("POLYVISOR_NOT_FOUND", `snapshot "${name}" does not exist`);
}

/** The place of the class on the host that has the source: a host copies what it has itself. */
function beside(places: VolumePlaces, origin: FoundVolume, spec: VolumeSpec): VolumePlace {
  const { storageClass, source, host: wanted } = spec;
  const hosts = origin.pool.settings.shared
    ? places.of(origin.className).map(({ host }) => host)
    : [origin.host];
  const candidates = places
    .of(storageClass)
    .filter(
      ({ host, pool }) =>
        hosts.includes(host) &&
        (wanted === undefined || host.name === wanted || pool.settings.shared),
    );
  const place = candidates.find(({ host }) => host === origin.host) ?? candidates[0];
  if (place) return place;
  throw new PolyvisorError(
    "POLYVISOR_REFUSED",
    `${source?.type} "${source?.name}" is on host "${origin.host.name}": a volume made from it cannot be on host "${wanted}"`,
  );
}

async function placeFor(
  places: VolumePlaces,
  { storageClass, host: wanted }: VolumeSpec,
  signal: AbortSignal,
): Promise<VolumePlace> {
  const place = places.of(storageClass).find(({ host }) => host.name === wanted);
  if (place) return place;
  if (wanted === undefined) return places.roomiest(storageClass, signal);
  throw new PolyvisorError("POLYVISOR_NOT_FOUND", `there is no host ${JSON.stringify(wanted)}`);
}
