import {
  type GuestDisk,
  type GuestInterface,
  type GuestMachine,
  type GuestRef,
  type Hotplug,
  PolyvisorError,
} from "@polyvisor/core";
import { diskElement, type DiskPlace, diskTarget } from "../domain/disk-element.ts";
import type { DomainDisk } from "../domain/domain-state.ts";
import { interfaceElement } from "../domain/interface-element.ts";
import type { HostSet } from "../host/host-set.ts";
import type { HostDomain, LibvirtHost } from "../host/libvirt-host.ts";
import { translated } from "../host/translate-error.ts";
import { networkName } from "../network/network-xml.ts";
import { isLibvirtError, isNotFoundError } from "../rpc/libvirt-error.ts";
import { procedures } from "../rpc/procedures.ts";
import type { DomainHandle } from "../rpc/struct-layouts.ts";
import type { TypedParameter } from "../rpc/typed-parameter.ts";
import { renderXml } from "../xml/render-xml.ts";
import { removalAnswer, stillThere } from "./device-removal.ts";
import { requireRunning } from "./running-guest.ts";

/** Numbers of libvirt: `virDomainModificationImpact`, `virDomainBlockResizeFlags`. */
const AFFECT_LIVE = 1;
const AFFECT_CONFIG = 2;
const RESIZE_BYTES = 1;

/** Milliseconds for which a guest may take to let go of a disk. */
const REMOVAL_PATIENCE = 30_000;

/** How often a disk is plugged in under another name for QEMU. */
const ATTACH_ATTEMPTS = 5;

/** Disks that one controller takes here; far more than a guest may have. */
const MOST_DISKS = 256;

/** Network cards that come later are of virtio, whatever the others are. */
const PLUGGED_CARD: GuestMachine = {
  osType: "generic",
  firmware: "bios",
  paravirtualized: true,
  tpm: false,
};

/** What a disk may carry. */
export interface DiskLimits {
  readonly readBytesPerSecond?: number;
  readonly writeBytesPerSecond?: number;
  readonly readsPerSecond?: number;
  readonly writesPerSecond?: number;
}

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
      await attach(host, domain, xml, signal);
      host.reportGuest(domain);
    });
  }

  detachDisk(ref: GuestRef, hostName: string, name: string, signal: AbortSignal): Promise<void> {
    return this.#change(ref, hostName, signal, async (host, guest) => {
      const disk = diskOf(guest, name);
      if (disk)
        await unplug(
          host,
          guest,
          { alias: disk.alias, what: `disk "${name}"`, flags: AFFECT_LIVE },
          signal,
        );
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
      const { handle: domain } = guest;
      const { target } = requireDisk(guest, name);
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

  /**
   * Limits what a disk of a running guest may carry; what is left out, or 0, has no limit. A later run begins without.
   *
   * @throws `POLYVISOR_REFUSED` when the guest does not run there or has no such disk.
   */
  limitDisk(
    ref: GuestRef,
    hostName: string,
    name: string,
    limits: DiskLimits,
    signal: AbortSignal,
  ): Promise<void> {
    return this.#change(ref, hostName, signal, async (host, guest) => {
      const { target } = requireDisk(guest, name);
      const { handle: domain } = guest;
      await host.connections.call(
        procedures.domainSetBlockIoTune,
        { domain, disk: target, parameters: tuneParameters(limits), flags: AFFECT_LIVE },
        { signal },
      );
    });
  }

  /**
   * Plugs a network card into a running guest. Does nothing when one with that MAC address is there.
   *
   * @throws `POLYVISOR_REFUSED` when the guest does not run there or has no place for it.
   */
  attachInterface(
    ref: GuestRef,
    hostName: string,
    card: GuestInterface,
    signal: AbortSignal,
  ): Promise<void> {
    return this.#change(ref, hostName, signal, async (host, guest) => {
      if (guest.description.interfaces.some(({ mac }) => mac === card.mac)) return;
      const { handle: domain } = guest;
      const isGuarded = host.networks.isGuarded(card.cidr);
      const xml = renderXml(interfaceElement(card, PLUGGED_CARD, isGuarded));
      const plug = async (): Promise<void> => {
        await host.connections.call(
          procedures.domainAttachDeviceFlags,
          // Also kept for after the end, so that the network of the card is found and released.
          { domain, xml, flags: AFFECT_LIVE | AFFECT_CONFIG },
          { signal },
        );
      };
      try {
        await host.networks.during([card], plug, signal);
      } catch (error) {
        // What was made for the card goes, unless others use it.
        await host.networks.release(networkName(card.cidr), signal);
        throw error;
      }
    });
  }

  /**
   * Unplugs a network card, and returns when the guest has let go of it. Does nothing when it is not there.
   *
   * @throws `POLYVISOR_REFUSED` when the guest says no, `POLYVISOR_TIMEOUT` when it does not answer.
   */
  detachInterface(
    ref: GuestRef,
    hostName: string,
    mac: string,
    signal: AbortSignal,
  ): Promise<void> {
    return this.#change(ref, hostName, signal, async (host, guest) => {
      const card = guest.description.interfaces.find((each) => each.mac === mac);
      if (card === undefined) return;
      const { alias, network } = card;
      const flags = AFFECT_LIVE | AFFECT_CONFIG;
      await unplug(host, guest, { alias, what: `network card ${mac}`, flags }, signal);
      await host.networks.release(network, signal);
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

/** @throws `POLYVISOR_REFUSED` when the guest has no such disk. */
function requireDisk(guest: HostDomain, name: string): DomainDisk {
  const disk = diskOf(guest, name);
  if (disk) return disk;
  throw new PolyvisorError("POLYVISOR_REFUSED", `the guest has no disk "${name}"`);
}

/** Names of libvirt, `VIR_DOMAIN_BLOCK_IOTUNE_*`; 0 takes a limit away. */
function tuneParameters(limits: DiskLimits): TypedParameter[] {
  const { readBytesPerSecond, writeBytesPerSecond, readsPerSecond, writesPerSecond } = limits;
  const parameter = (field: string, value = 0): TypedParameter => ({
    field,
    type: "ullong",
    value,
  });
  return [
    parameter("read_bytes_sec", readBytesPerSecond),
    parameter("write_bytes_sec", writeBytesPerSecond),
    parameter("read_iops_sec", readsPerSecond),
    parameter("write_iops_sec", writesPerSecond),
  ];
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

interface PluggedDevice {
  readonly alias: string;
  /** As a message names it. */
  readonly what: string;
  readonly flags: number;
}

/** Takes a device out of a guest, and waits for its answer. */
async function unplug(
  host: LibvirtHost,
  { handle: domain }: HostDomain,
  { alias, what, flags }: PluggedDevice,
  signal: AbortSignal,
): Promise<void> {
  const answer = await removalAnswer(
    host,
    { uuid: domain.uuid, alias },
    {
      ask: () => askForRemoval(host, domain, { alias, flags }, signal),
      patienceMilliseconds: REMOVAL_PATIENCE,
      signal,
    },
  );
  if (answer === "removed") return;
  const now = await host.domain(domain.uuid, signal);
  if (now?.description.aliases.includes(alias)) throw stillThere(answer, what);
}

async function askForRemoval(
  host: LibvirtHost,
  domain: DomainHandle,
  { alias, flags }: Pick<PluggedDevice, "alias" | "flags">,
  signal: AbortSignal,
): Promise<void> {
  try {
    await host.connections.call(
      procedures.domainDetachDeviceAlias,
      { domain, alias, flags },
      { signal },
    );
  } catch (error) {
    // Asked before: the answer is still to come, or has come in the meantime.
    const isUnderWay = isLibvirtError(error) && /in the process of unplug/.test(error.message);
    if (!isUnderWay && !isNotFoundError(error)) throw error;
  }
}

/**
 * Plugs a disk in. A daemon that died while it did so may have left a node of QEMU's of which it knows nothing, under the
 * name that comes next; each attempt takes another name.
 */
async function attach(
  host: LibvirtHost,
  domain: DomainHandle,
  xml: string,
  signal: AbortSignal,
): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      await host.connections.call(
        procedures.domainAttachDeviceFlags,
        { domain, xml, flags: AFFECT_LIVE },
        { signal },
      );
      return;
    } catch (error) {
      if (!isLibvirtError(error)) throw error;
      if (error.message.includes("Duplicate device ID")) {
        const message =
          "QEMU has this disk already and libvirt does not know of it, because its daemon ended while it plugged the disk in: stop and start the guest";
        throw new PolyvisorError("POLYVISOR_REFUSED", message, { cause: error });
      }
      if (!error.message.includes("Duplicate nodes") || attempt === ATTACH_ATTEMPTS) throw error;
    }
  }
}
