import { type GuestDisk, type GuestRef, type Hotplug, PolyvisorError } from "@polyvisor/core";
import { diskElement, type DiskPlace, diskTarget } from "../domain/disk-element.ts";
import type { DomainDisk } from "../domain/domain-state.ts";
import type { HostSet } from "../host/host-set.ts";
import type { HostDomain, LibvirtHost } from "../host/libvirt-host.ts";
import { translated } from "../host/translate-error.ts";
import { isLibvirtError, isNotFoundError } from "../rpc/libvirt-error.ts";
import { procedures } from "../rpc/procedures.ts";
import { renderXml } from "../xml/render-xml.ts";
import { removalAnswer, stillThere } from "./device-removal.ts";
import { requireRunning } from "./running-guest.ts";

/** Numbers of libvirt: `virDomainModificationImpact`, `virDomainBlockResizeFlags`. */
const AFFECT_LIVE = 1;
const RESIZE_BYTES = 1;

/** Milliseconds for which a guest may take to let go of a disk. */
const REMOVAL_PATIENCE = 30_000;

/** Disks that one controller takes here; far more than a guest may have. */
const MOST_DISKS = 256;

/** Changes running guests of libvirt hosts. Disks that come later are connected by virtio-scsi. */
export class LibvirtHotplug implements Hotplug {
  readonly #hosts: HostSet;

  constructor(hosts: HostSet) {
    this.#hosts = hosts;
  }

  attachDisk(ref: GuestRef, hostName: string, disk: GuestDisk, signal: AbortSignal): Promise<void> {
    return this.#change(ref, hostName, signal, async (host, guest) => {
      if (guest.description.disks.some(({ name }) => name === disk.name)) return;
      const xml = renderXml(diskElement(disk, freePlace(guest)));
      const { handle: domain } = guest;
      await host.connections.call(
        procedures.domainAttachDeviceFlags,
        { domain, xml, flags: AFFECT_LIVE },
        { signal },
      );
      host.reportGuest(domain);
    });
  }

  detachDisk(ref: GuestRef, hostName: string, name: string, signal: AbortSignal): Promise<void> {
    return this.#change(ref, hostName, signal, async (host, guest) => {
      const disk = diskOf(guest, name);
      if (disk === undefined) return;
      const { handle: domain } = guest;
      const { alias } = disk;
      const answer = await removalAnswer(
        host,
        { uuid: domain.uuid, alias },
        {
          ask: () => askForRemoval(host, guest, disk, signal),
          patienceMilliseconds: REMOVAL_PATIENCE,
          signal,
        },
      );
      if (answer === "removed") return;
      const now = await host.domain(ref.uid, signal);
      if (now?.description.disks.some((each) => each.alias === alias))
        throw stillThere(answer, name);
    });
  }

  resizeDisk(
    ref: GuestRef,
    hostName: string,
    name: string,
    sizeBytes: number,
    signal: AbortSignal,
  ): Promise<void> {
    return this.#change(ref, hostName, signal, async (host, guest) => {
      const disk = diskOf(guest, name);
      if (disk === undefined) {
        throw new PolyvisorError("POLYVISOR_REFUSED", `the guest has no disk "${name}"`);
      }
      const { handle: domain } = guest;
      const { target } = disk;
      const { capacity } = await host.connections.call(
        procedures.domainGetBlockInfo,
        { domain, path: target, flags: 0 },
        { signal },
      );
      if (Number(capacity) > sizeBytes) {
        throw new PolyvisorError(
          "POLYVISOR_REFUSED",
          `disk "${name}" has ${capacity} bytes: making it smaller would destroy what is at its end`,
        );
      }
      await host.connections.call(
        procedures.domainBlockResize,
        { domain, disk: target, size: sizeBytes, flags: RESIZE_BYTES },
        { signal },
      );
    });
  }

  #change(
    ref: GuestRef,
    hostName: string,
    signal: AbortSignal,
    work: (host: LibvirtHost, guest: HostDomain) => Promise<void>,
  ): Promise<void> {
    const host = this.#hosts.get(hostName);
    return host.deviceMutex.run(ref.uid, () =>
      translated(hostName, async () => work(host, await requireRunning(host, ref, signal))),
    );
  }
}

function diskOf({ description }: HostDomain, name: string): DomainDisk | undefined {
  return description.disks.find((disk) => disk.name === name);
}

function freePlace({ description }: HostDomain): DiskPlace {
  const { targets, hasScsi } = description;
  const places = Array.from(
    { length: MOST_DISKS },
    (_, index) => ({ bus: "scsi", index }) as const,
  );
  const free = places.find((place) => !targets.includes(diskTarget(place)));
  if (hasScsi && free) return free;
  throw new PolyvisorError(
    "POLYVISOR_REFUSED",
    "the guest has no place for another disk: it has no controller of virtio-scsi, or that is full",
  );
}

async function askForRemoval(
  host: LibvirtHost,
  { handle: domain }: HostDomain,
  { alias }: DomainDisk,
  signal: AbortSignal,
): Promise<void> {
  try {
    await host.connections.call(
      procedures.domainDetachDeviceAlias,
      { domain, alias, flags: AFFECT_LIVE },
      { signal },
    );
  } catch (error) {
    // Asked before: the answer is still to come, or has come in the meantime.
    const isUnderWay = isLibvirtError(error) && /in the process of unplug/.test(error.message);
    if (!isUnderWay && !isNotFoundError(error)) throw error;
  }
}
