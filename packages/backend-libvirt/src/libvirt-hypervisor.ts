import {
  BoundedChannel,
  type GuestList,
  type GuestLocation,
  type GuestRef,
  type GuestSpec,
  type GuestState,
  type HostState,
  type Hypervisor,
  type HypervisorCapabilities,
  type HypervisorEvent,
  type LiveMigration,
  type Placement,
  PolyvisorError,
  type StopMode,
} from "@polyvisor/core";
import { type HostStatistics, readHostStatistics } from "./metrics/host-statistics.ts";
import { LibvirtConsoles } from "./guest/libvirt-consoles.ts";
import { LibvirtGuestAgent } from "./guest/libvirt-guest-agent.ts";
import { LibvirtHotplug } from "./guest/libvirt-hotplug.ts";
import { adoptGuest } from "./host/adopt-guest.ts";
import { removeGuest, startGuest, stopGuest } from "./host/guest-operations.ts";
import type { HostSet } from "./host/host-set.ts";
import type { LibvirtHost } from "./host/libvirt-host.ts";
import { translated } from "./host/translate-error.ts";
import { type HostAnswer, listGuests } from "./list-guests.ts";
import { LiveMigrations } from "./live-migrations.ts";
import type { MigrationBook } from "./migration/migration-book.ts";
import type { LibvirtMigrationOptions } from "./migration/migration-options.ts";

/** Events that may wait for the reader before it is told to start over. */
const WATCH_CAPACITY = 10_000;

const CAPABILITIES: HypervisorCapabilities = {
  blockSources: ["file", "block"],
  placement: "explicit",
  guests: {
    osTypes: ["generic", "windows", "legacy"],
    firmware: ["bios", "efi", "efi-secure-boot"],
    tpm: true,
    emulatedDevices: true,
    cpuFraction: true,
    answerFiles: true,
  },
  consoles: { serial: true, vnc: true },
  migration: false,
  hotplug: true,
  agent: true,
};

/** Runs guests on libvirt hosts. */
export class LibvirtHypervisor implements Hypervisor {
  readonly name: string;
  readonly capabilities: HypervisorCapabilities;
  readonly consoles: LibvirtConsoles;
  readonly hotplug: LibvirtHotplug;
  readonly agent: LibvirtGuestAgent;
  readonly migration?: LiveMigration;
  readonly #hosts: HostSet;
  readonly #migrations: LiveMigrations;
  readonly #book: MigrationBook;

  constructor(
    name: string,
    hosts: HostSet,
    migration: { readonly book: MigrationBook; readonly options: LibvirtMigrationOptions },
  ) {
    this.name = name;
    this.#hosts = hosts;
    this.consoles = new LibvirtConsoles(hosts);
    this.hotplug = new LibvirtHotplug(hosts);
    this.agent = new LibvirtGuestAgent(hosts);
    this.#book = migration.book;
    this.#migrations = new LiveMigrations(hosts, migration.book, migration.options);
    const reached = hosts.all().filter(({ peerUri }) => peerUri !== undefined);
    const migrates = hosts.all().length > 1 && reached.length > 0;
    if (migrates) this.migration = this.#migrations;
    this.capabilities = { ...CAPABILITIES, migration: migrates };
  }

  open(signal: AbortSignal): Promise<void> {
    return this.#hosts.open(signal);
  }

  hosts(signal: AbortSignal): Promise<readonly HostState[]> {
    return Promise.all(this.#hosts.all().map((host) => host.state(signal)));
  }

  guests(signal: AbortSignal): Promise<GuestList> {
    return listGuests(() => this.#ask(signal), this.#book, signal);
  }

  /** What hosts and their running guests use, of the hosts that answer. */
  async statistics(signal: AbortSignal): Promise<readonly HostStatistics[]> {
    const hosts = this.#hosts.all().filter(({ isReachable }) => isReachable);
    const answers = await Promise.allSettled(
      hosts.map((host) => readHostStatistics(host.name, host.connections, signal)),
    );
    signal.throwIfAborted();
    return answers.flatMap((answer) => (answer.status === "fulfilled" ? answer.value : []));
  }

  /**
   * Makes a guest that somebody else has defined one of ours, in its first incarnation. Whether it runs or not, it stays
   * as it is; its uid is the uuid of its domain, which a VM for it must have. Does nothing when it is ours already.
   *
   * @throws `POLYVISOR_NOT_FOUND` when the host has no such domain, `POLYVISOR_REFUSED` when it is that of another VM, or
   *   would not outlive its run.
   */
  adopt(
    domain: { readonly host: string; readonly name: string },
    machine: { readonly namespace: string; readonly name: string },
    signal: AbortSignal,
  ): Promise<GuestState> {
    const host = this.#hosts.get(domain.host);
    return translated(host.name, () => adoptGuest(host, domain.name, machine, signal));
  }

  watch(signal: AbortSignal): AsyncIterable<HypervisorEvent> {
    const stop = (): void => {
      signal.removeEventListener("abort", stop);
      for (const host of this.#hosts.all()) host.unsubscribe(channel);
      channel.end();
    };
    const channel = new BoundedChannel<HypervisorEvent>({
      capacity: WATCH_CAPACITY,
      onOverflow: () =>
        new PolyvisorError("POLYVISOR_EXPIRED", "the reader of the events fell too far behind"),
      onReturn: stop,
    });
    for (const host of this.#hosts.all()) host.subscribe(channel);
    if (signal.aborted) stop();
    signal.addEventListener("abort", stop, { once: true });
    return channel;
  }

  async startGuest(spec: GuestSpec, place: Placement, signal: AbortSignal): Promise<GuestState> {
    if (!("host" in place)) {
      const message = `hypervisor "${this.name}" chooses no hosts by itself: name one`;
      throw new PolyvisorError("POLYVISOR_REFUSED", message);
    }
    return this.#change(spec.uid, place, (host) => startGuest(host, spec, signal));
  }

  stopGuest(
    ref: GuestRef,
    where: GuestLocation,
    mode: StopMode,
    signal: AbortSignal,
  ): Promise<void> {
    return this.#change(ref.uid, where, (host) => stopGuest(host, ref, mode, signal));
  }

  removeGuest(uid: string, where: GuestLocation, signal: AbortSignal): Promise<void> {
    return this.#change(uid, where, (host) => removeGuest(host, uid, signal));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#migrations[Symbol.asyncDispose]();
    await this.#hosts.release();
  }

  async #change<T>(
    uid: string,
    { host: name }: GuestLocation,
    work: (host: LibvirtHost) => Promise<T>,
  ): Promise<T> {
    if (name === undefined) {
      throw new PolyvisorError("POLYVISOR_REFUSED", `guest ${uid} is on no host`);
    }
    const host = this.#hosts.get(name);
    return host.guestMutex.run(uid, () => translated(name, () => work(host)));
  }

  /** What the hosts that answer have. */
  async #ask(signal: AbortSignal): Promise<HostAnswer[]> {
    const reachable = this.#hosts.all().filter(({ isReachable }) => isReachable);
    const answers = await Promise.all(
      reachable.map(async (host): Promise<HostAnswer[]> => {
        try {
          return [{ host, domains: await host.domains(signal) }];
        } catch {
          // It has just stopped answering.
          signal.throwIfAborted();
          return [];
        }
      }),
    );
    for (const { host, domains } of answers.flat()) this.#migrations.takeOver(host, domains);
    return answers.flat();
  }
}
