import { PolyvisorError } from "@polyvisor/core";
import { KeyedMutex } from "../host/keyed-mutex.ts";
import type { ConnectionPool } from "../rpc/connection-pool.ts";
import {
  isAlreadyExistsError,
  isInvalidStateError,
  isNotFoundError,
} from "../rpc/libvirt-error.ts";
import { procedures } from "../rpc/procedures.ts";
import type { NetworkHandle } from "../rpc/struct-layouts.ts";
import type { LibvirtNetwork, NetworkSettings } from "./network-settings.ts";
import {
  describeNetwork,
  fitsMode,
  givesAddresses,
  type NetworkDescription,
  networkName,
  networkXml,
  rangeOfNetwork,
  type Reservation,
  reservationXml,
} from "./network-xml.ts";

/** Numbers of libvirt, `virNetworkUpdateCommand`, `virNetworkUpdateSection` and `virNetworkUpdateFlags`. */
const DELETE = 2;
const ADD_LAST = 3;
const SECTION_DHCP_HOST = 4;
const LIVE_AND_CONFIG = 3;

/** An interface of a guest on a network of its host. */
export interface AttachedInterface {
  readonly cidr: string;
  readonly gateway?: string | undefined;
  readonly mac: string;
  /** Absent where the host gives out no addresses. */
  readonly address?: string | undefined;
}

/**
 * The networks of a host that guests of the configured ranges are attached to. Made when the first guest is started, and
 * removed with the last.
 */
export class HostNetworks {
  readonly #pool: ConnectionPool;
  readonly #settings: NetworkSettings;
  readonly #mutex = new KeyedMutex();
  /** Guests that are being started, by the name of their network: it must not go under them. */
  readonly #starting = new Map<string, number>();

  constructor(pool: ConnectionPool, settings: NetworkSettings) {
    this.#pool = pool;
    this.#settings = settings;
  }

  /** True when guests of the range are held to their addresses. */
  isGuarded(cidr: string): boolean {
    return this.#settings.isGuarded(cidr);
  }

  /** Starts a guest with its networks running and its addresses reserved. */
  async during<T>(
    interfaces: readonly AttachedInterface[],
    start: () => Promise<T>,
    signal: AbortSignal,
  ): Promise<T> {
    const networks = interfaces.map(({ cidr }) => networkName(cidr));
    for (const network of networks) this.#count(network, 1);
    try {
      for (const guestInterface of interfaces) await this.#reserve(guestInterface, signal);
      return await start();
    } finally {
      for (const network of networks) this.#count(network, -1);
    }
  }

  /** Removes a network if no guest is attached to it. */
  release(name: string, signal: AbortSignal): Promise<void> {
    return this.#mutex.run(name, async () => {
      const network = await this.#find(name, signal);
      if (network === undefined) return;
      const { connections } = await this.#describe(network, signal);
      if (connections === 0 && !this.#starting.has(name)) await this.#remove(network, signal);
    });
  }

  /** The interfaces on networks of ours, with the addresses that are reserved for them. */
  async interfacesOf(
    attached: readonly { readonly network: string; readonly mac: string }[],
    signal: AbortSignal,
  ): Promise<readonly AttachedInterface[]> {
    const found = await Promise.all(
      attached.map(async ({ network: name, mac }): Promise<AttachedInterface[]> => {
        const cidr = rangeOfNetwork(name);
        const network = cidr === undefined ? undefined : await this.#find(name, signal);
        if (cidr === undefined || network === undefined) return [];
        const { reservations, gateway } = await this.#describe(network, signal);
        const address = reservations.find((other) => other.mac === mac)?.address;
        return [{ cidr, gateway, mac, address }];
      }),
    );
    return found.flat();
  }

  /** Removes every network of ours that no guest is attached to. */
  async releaseAll(signal: AbortSignal): Promise<void> {
    const { networks } = await this.#pool.call(
      procedures.connectListAllNetworks,
      { needResults: true, flags: 0 },
      { signal },
    );
    for (const { name } of networks) {
      if (rangeOfNetwork(name) !== undefined) await this.release(name, signal);
    }
  }

  #count(network: string, change: 1 | -1): void {
    const count = (this.#starting.get(network) ?? 0) + change;
    if (count > 0) this.#starting.set(network, count);
    else this.#starting.delete(network);
  }

  async #reserve(attached: AttachedInterface, signal: AbortSignal): Promise<void> {
    const { cidr, gateway, mac, address } = attached;
    const settings = this.#settings.of(cidr);
    const gives = givesAddresses(settings);
    if (gives && (gateway === undefined || gateway.includes(":"))) {
      throw new PolyvisorError(
        "POLYVISOR_REFUSED",
        `hosts give out no addresses of the range ${cidr}: this backend needs an IPv4 range of /30 or wider, or a network of type "bridge"`,
      );
    }
    await this.#mutex.run(networkName(cidr), async () => {
      const network = await this.#ensure(settings, gateway, signal);
      if (!gives || address === undefined) return;
      const { reservations } = await this.#describe(network, signal);
      const clashing = reservations.filter(
        (other) => other.mac === mac || other.address === address,
      );
      if (clashing.some((other) => other.mac === mac && other.address === address)) return;
      for (const other of clashing) await this.#update(network, DELETE, other, signal);
      await this.#update(network, ADD_LAST, { mac, address }, signal);
    });
  }

  async #ensure(
    settings: LibvirtNetwork,
    gateway: string | undefined,
    signal: AbortSignal,
  ): Promise<NetworkHandle> {
    const present = await this.#find(networkName(settings.range), signal);
    if (present && !fitsMode(await this.#describe(present, signal), settings)) {
      throw new PolyvisorError(
        "POLYVISOR_REFUSED",
        `the host has a network "${present.name}" that is not of type "${settings.type}" as the settings want it: stop the guests on it, or set it back`,
      );
    }
    const network =
      present ??
      (
        await this.#pool.call(
          procedures.networkDefineXmlFlags,
          { xml: networkXml(settings.range, gateway, settings), flags: 0 },
          { signal },
        )
      ).network;
    const { active } = await this.#pool.call(procedures.networkIsActive, { network }, { signal });
    if (!active) {
      try {
        await this.#pool.call(procedures.networkCreate, { network }, { signal });
      } catch (error) {
        // Another manager was faster.
        if (!isInvalidStateError(error) && !isAlreadyExistsError(error)) throw error;
      }
      await this.#pool.call(
        procedures.networkSetAutostart,
        { network, autostart: true },
        { signal },
      );
    }
    return network;
  }

  async #find(name: string, signal: AbortSignal): Promise<NetworkHandle | undefined> {
    try {
      const { network } = await this.#pool.call(
        procedures.networkLookupByName,
        { name },
        { signal },
      );
      return network;
    } catch (error) {
      if (isNotFoundError(error)) return undefined;
      throw error;
    }
  }

  async #describe(network: NetworkHandle, signal: AbortSignal): Promise<NetworkDescription> {
    const { xml } = await this.#pool.call(
      procedures.networkGetXmlDesc,
      { network, flags: 0 },
      { signal },
    );
    return describeNetwork(xml);
  }

  async #update(
    network: NetworkHandle,
    command: number,
    reservation: Reservation,
    signal: AbortSignal,
  ): Promise<void> {
    await this.#pool.call(
      procedures.networkUpdate,
      {
        network,
        command,
        section: SECTION_DHCP_HOST,
        parentIndex: 0,
        xml: reservationXml(reservation),
        flags: LIVE_AND_CONFIG,
      },
      { signal },
    );
  }

  async #remove(network: NetworkHandle, signal: AbortSignal): Promise<void> {
    try {
      await this.#pool.call(procedures.networkDestroy, { network }, { signal });
    } catch (error) {
      if (!isInvalidStateError(error) && !isNotFoundError(error)) throw error;
    }
    try {
      await this.#pool.call(procedures.networkUndefine, { network }, { signal });
    } catch (error) {
      if (!isNotFoundError(error)) throw error;
    }
  }
}
