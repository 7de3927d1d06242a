import { type GuestDisk, type MigrationRequest, PolyvisorError } from "@polyvisor/core";
import type { HostDomain, LibvirtHost } from "../host/libvirt-host.ts";
import type { AttachedInterface } from "../network/host-networks.ts";
import { procedures } from "../rpc/procedures.ts";
import { type HostPool, hidingName } from "../storage/host-pool.ts";
import type { VolumePlan } from "../storage/volume-xml.ts";
import type { MigrationMark } from "./migration-mark.ts";
import { destinationXml, type DiskToMove, readWhatMoves } from "./migration-xml.ts";

/** Numbers of libvirt, `virDomainXMLFlags`. */
const SECURE = 1;
const INACTIVE = 2;
const MIGRATABLE = 8;

/** A disk whose content goes to the target with the guest. */
interface DiskCopy {
  /** Such as `sda`. */
  readonly target: string;
  readonly className: string;
  readonly volume: VolumePlan;
}

/** What is to be done to get a guest to another host. */
export interface MigrationPlan {
  readonly destinationXml: string;
  readonly persistentXml: string;
  /** Interfaces for which the target needs networks and reservations. */
  readonly interfaces: readonly AttachedInterface[];
  readonly copies: readonly DiskCopy[];
  /** Files of the guest that nobody writes, by their names in the hosts' own pool. */
  readonly media: readonly string[];
  /** True when a disk is on storage that only the configuration says is shared. */
  readonly declaredShared: boolean;
}

/** Finds out what a migration takes. @throws `POLYVISOR_REFUSED` when it cannot be done. */
export async function planMigration(
  source: LibvirtHost,
  target: LibvirtHost,
  { handle: domain, description }: HostDomain,
  request: MigrationRequest,
  signal: AbortSignal,
): Promise<MigrationPlan> {
  const xmlWith = async (flags: number): Promise<string> => {
    const { xml } = await source.connections.call(
      procedures.domainGetXmlDesc,
      { domain, flags },
      { signal },
    );
    return xml;
  };
  const xml = await xmlWith(SECURE | MIGRATABLE);
  const { disks, interfaces } = readWhatMoves(xml);
  const unmatched = request.disks.find(
    ({ serial }) => !disks.some((disk) => disk.serial === serial),
  );
  if (unmatched) {
    throw refused(`guest "${description.name}" has no disk "${unmatched.name}" to migrate`);
  }
  const sources = new Map<string, GuestDisk["source"]>();
  const copies: DiskCopy[] = [];
  const media: string[] = [];
  let declaredShared = false;
  for (const disk of disks) {
    const wanted = request.disks.find(({ serial }) => serial === disk.serial);
    if (wanted === undefined) {
      media.push(await mediumName(source, disk, signal));
      continue;
    }
    sources.set(disk.target, wanted.source);
    const place = await placeOf(target, wanted, signal);
    if (place.pool.settings.shared) declaredShared = true;
    else copies.push(await copyOf(source, place, disk, wanted, signal));
  }
  const mark: MigrationMark = {
    id: request.id,
    source: source.name,
    target: target.name,
    settled: false,
    copied: copies.map(({ className, volume }) => `${className}/${volume.name}`),
  };
  return {
    destinationXml: destinationXml(xml, sources, mark),
    persistentXml: destinationXml(await xmlWith(SECURE | MIGRATABLE | INACTIVE), sources, mark),
    interfaces: await source.networks.interfacesOf(interfaces, signal),
    copies,
    media,
    declaredShared,
  };
}

/** The pool of a host that shows a disk. */
async function placeOf(
  host: LibvirtHost,
  { name, source }: GuestDisk,
  signal: AbortSignal,
): Promise<{ readonly className: string; readonly pool: HostPool }> {
  if (source.type === "file") {
    for (const [className, pool] of host.pools) {
      if (pool.settings.content !== "file") continue;
      const folder = await pool.folder(signal);
      if (source.path === `${folder}/${baseName(source.path)}`) return { className, pool };
    }
  }
  const where = source.type === "claim" ? source.name : source.path;
  throw refused(
    `disk "${name}" is to be at ${where} on host "${host.name}", which is in no pool of files of a storage class: it can be neither shared nor copied`,
  );
}

async function copyOf(
  source: LibvirtHost,
  { className, pool }: { readonly className: string; readonly pool: HostPool },
  disk: DiskToMove,
  wanted: GuestDisk,
  signal: AbortSignal,
): Promise<DiskCopy> {
  const { source: destination } = wanted;
  if (destination.type !== "file") throw refused(`disk "${wanted.name}" is no file`);
  const name = baseName(destination.path);
  const original = await source.pools.get(className)?.volume(baseName(disk.path), signal);
  if (original?.path !== disk.path) {
    throw refused(
      `disk "${wanted.name}" at ${disk.path} is no volume of class "${className}" on host "${source.name}": it cannot be copied`,
    );
  }
  const { sizeBytes } = original;
  const names = await pool.names(signal);
  if (names.includes(name) && !names.includes(hidingName(name))) {
    throw refused(
      `the target has something at ${destination.path} already, and disk "${wanted.name}" would overwrite it`,
    );
  }
  return {
    target: disk.target,
    className,
    volume: { name, sizeBytes, format: destination.format },
  };
}

/** The name of a medium of ours, such as that for cloud-init. */
async function mediumName(
  host: LibvirtHost,
  { path, target, readOnly }: DiskToMove,
  signal: AbortSignal,
): Promise<string> {
  const medium = readOnly ? await host.pool.volume(baseName(path), signal) : undefined;
  if (medium?.path === path) return baseName(path);
  throw refused(`the request does not say where the target finds disk ${target} at ${path}`);
}

function baseName(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}

function refused(reason: string): PolyvisorError {
  return new PolyvisorError("POLYVISOR_REFUSED", reason);
}
