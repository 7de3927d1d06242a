import { KeyedMutex } from "../host/keyed-mutex.ts";
import type { ConnectionPool } from "../rpc/connection-pool.ts";
import {
  isAlreadyExistsError,
  isInvalidStateError,
  isNotFoundError,
} from "../rpc/libvirt-error.ts";
import { procedures } from "../rpc/procedures.ts";
import type { NetworkHandle } from "../rpc/struct-layouts.ts";
import {
  networkName,
  networkXml,
  readReservations,
  type Reservation,
  reservationXml,
} from "./network-xml.ts";

/** Numbers of libvirt, `virNetworkUpdateCommand`, `virNetworkUpdateSection` and `virNetworkUpdateFlags`. */
const DELETE = 2;
const ADD_LAST = 3;
const SECTION_DHCP_HOST = 4;
const LIVE_AND_CONFIG = 3;

/** The networks of a host that guests of the configured ranges are attached to. Made when needed, removed when empty. */
export class HostNetworks {
  readonly #pool: ConnectionPool;
  readonly #mutex = new KeyedMutex();

  constructor(pool: ConnectionPool) {
    this.#pool = pool;
  }

  /** Sees to it that the network runs and that the interface gets its address. */
  reserve(
    {
      cidr,
      gateway,
      mac,
      address,
    }: Reservation & { readonly cidr: string; readonly gateway: string },
    signal: AbortSignal,
  ): Promise<void> {
    return this.#mutex.run(networkName(cidr), async () => {
      const network = await this.#ensure(cidr, gateway, signal);
      const present = await this.#reservations(network, signal);
      const others = present.filter((other) => other.mac === mac || other.address === address);
      if (others.some((other) => other.mac === mac && other.address === address)) return;
      for (const other of others) await this.#update(network, DELETE, other, signal);
      await this.#update(network, ADD_LAST, { mac, address }, signal);
    });
  }

  /** Gives up the reservation of an interface; with the last one the network goes. */
  release(network: string, mac: string, signal: AbortSignal): Promise<void> {
    return this.#mutex.run(network, async () => {
      const handle = await this.#find(network, signal);
      if (handle === undefined) return;
      const present = await this.#reservations(handle, signal);
      const mine = present.filter((reservation) => reservation.mac === mac);
      if (mine.length === present.length) return this.#remove(handle, signal);
      for (const reservation of mine) await this.#update(handle, DELETE, reservation, signal);
    });
  }

  async #ensure(cidr: string, gateway: string, signal: AbortSignal): Promise<NetworkHandle> {
    const network =
      (await this.#find(networkName(cidr), signal)) ??
      (
        await this.#pool.call(
          procedures.networkDefineXmlFlags,
          { xml: networkXml(cidr, gateway), flags: 0 },
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

  async #reservations(network: NetworkHandle, signal: AbortSignal): Promise<Reservation[]> {
    const { xml } = await this.#pool.call(
      procedures.networkGetXmlDesc,
      { network, flags: 0 },
      { signal },
    );
    return readReservations(xml);
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
