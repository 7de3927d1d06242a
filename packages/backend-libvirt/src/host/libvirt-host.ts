import type { Duplex } from "node:stream";
import type {
  BoundedChannel,
  GuestState,
  HostState,
  HypervisorEvent,
  Logger,
} from "@polyvisor/core";
import type { DomainNote } from "../domain/domain-notes.ts";
import { type DomainDescription, describeDomain, guestState } from "../domain/domain-state.ts";
import type { MigrationBook } from "../migration/migration-book.ts";
import { type DomainPower, isInTransit } from "../migration/migration-places.ts";
import { HostNetworks } from "../network/host-networks.ts";
import { type LibvirtNetwork, NetworkSettings } from "../network/network-settings.ts";
import { type ConnectionPool, createConnectionPool } from "../rpc/connection-pool.ts";
import { createStreamFactory } from "../rpc/create-stream-factory.ts";
import { isNotFoundError } from "../rpc/libvirt-error.ts";
import { hostSocketFactory } from "../rpc/host-socket.ts";
import type { LibvirtTransport } from "../rpc/libvirt-transport.ts";
import { parseLibvirtUri } from "../rpc/libvirt-uri.ts";
import { procedures } from "../rpc/procedures.ts";
import type { SaslCredentialsProvider } from "../rpc/sasl-credentials.ts";
import type { DomainHandle } from "../rpc/struct-layouts.ts";
import { HostPool } from "../storage/host-pool.ts";
import { OWN_POOL, type PoolSettings } from "../storage/storage-class.ts";
import { type DomainEvent, followDomainEvents } from "./domain-events.ts";
import { FrozenGuests } from "./frozen-guests.ts";
import { GuestResets } from "./guest-resets.ts";
import { type HostFacts, readHostFacts } from "./host-facts.ts";
import { KeyedMutex } from "./keyed-mutex.ts";

/** Numbers of libvirt: `virDomainEventType`, `virDomainMetadataType`, `virDomainModificationImpact`. */
const EVENT_STARTED = 2;
const METADATA_ELEMENT = 2;
const AFFECT_LIVE = 1;
const AFFECT_CONFIG = 2;

/** Pauses between attempts to connect, in milliseconds: 200 ms doubling up to 5 s. */
const reconnectPause = (failures: number): number => Math.min(200 * 2 ** (failures - 1), 5_000);

/** What a {@link LibvirtHost} is made with. */
export interface LibvirtHostOptions {
  readonly name: string;
  readonly uri: string;
  readonly labels: Readonly<Record<string, string>>;
  /** How to make and find the pools of volumes, by the class that they are for. */
  readonly pools: ReadonlyMap<string, PoolSettings>;
  readonly saslCredentials: SaslCredentialsProvider | undefined;
  /** By which the daemons of other hosts reach this one's. */
  readonly peerUri: string | undefined;
  readonly migrations: MigrationBook;
  readonly networks: readonly LibvirtNetwork[];
  readonly logger: Logger;
}

/** A domain as a host reports it. */
export interface HostDomain {
  readonly handle: DomainHandle;
  readonly description: DomainDescription;
  readonly power: DomainPower;
  /** Absent for a guest that is not ours. */
  readonly state: GuestState | undefined;
  /** True while it is being migrated and the other of the two domains is the guest. */
  readonly inTransit: boolean;
}

/** Told of what happens to domains, and that something may have been missed. It must not throw. */
export type DomainEventListener = (event: DomainEvent | { readonly type: "lost" }) => void;

/** One libvirt daemon: its connections, whether it answers, and its events. */
export class LibvirtHost implements AsyncDisposable {
  readonly name: string;
  readonly connections: ConnectionPool;
  readonly networks: HostNetworks;
  /** Where files of guests are kept that are no volumes. */
  readonly pool: HostPool;
  /** Where volumes are kept, by their class. */
  readonly pools: ReadonlyMap<string, HostPool>;
  /** Lets one at a time change a guest, by its uid. */
  readonly guestMutex: KeyedMutex = new KeyedMutex();
  /** Lets one at a time change the devices of a running guest, by its uid; ending the guest waits for nobody. */
  readonly deviceMutex: KeyedMutex = new KeyedMutex();
  /** Lets one at a time talk to the agent of a guest, by its uid. */
  readonly agentMutex: KeyedMutex = new KeyedMutex();
  /** Guests whose file systems are at rest. */
  readonly frozenGuests: FrozenGuests;
  /** By which the daemons of other hosts reach this one's. */
  readonly peerUri: string | undefined;
  readonly #migrations: MigrationBook;
  readonly #transport: LibvirtTransport;
  readonly #labels: Readonly<Record<string, string>>;
  readonly #logger: Logger;
  readonly #channels = new Set<BoundedChannel<HypervisorEvent>>();
  readonly #listeners = new Set<DomainEventListener>();
  /** Domains whose state is being reported, by uuid, and whether they are to be looked at again. */
  readonly #reports = new Map<string, { again: boolean }>();
  readonly #resets: GuestResets = new GuestResets(this);
  readonly #ending = new AbortController();
  /** Resolves when the first attempt to connect has ended, either way. */
  readonly #tried = Promise.withResolvers<void>();
  #following: Promise<void> | undefined;
  #facts: HostFacts | undefined;
  #problem: string | undefined = "no connection has been made yet";

  constructor(options: LibvirtHostOptions) {
    const { name, uri, labels, pools, saslCredentials, logger } = options;
    const { driverUri, transport } = parseLibvirtUri(uri);
    this.name = name;
    this.#transport = transport;
    this.peerUri = options.peerUri;
    this.#migrations = options.migrations;
    this.#labels = labels;
    this.#logger = logger;
    this.connections = createConnectionPool({
      connect: createStreamFactory(transport),
      uri: driverUri,
      saslCredentials,
    });
    this.networks = new HostNetworks(
      this.connections,
      new NetworkSettings(options.networks, labels),
    );
    const pool = new HostPool(this.connections, OWN_POOL);
    this.pool = pool;
    this.pools = new Map(
      Array.from(pools, ([className, settings]) => [
        className,
        settings === OWN_POOL ? pool : new HostPool(this.connections, settings),
      ]),
    );
    this.frozenGuests = new FrozenGuests(this, logger);
  }

  /** Tries to connect once and goes on trying and following its events from then on. */
  async open(signal: AbortSignal): Promise<void> {
    this.#following ??= this.#follow();
    const { promise: aborted, resolve } = Promise.withResolvers<void>();
    const onAbort = (): void => resolve();
    signal.addEventListener("abort", onAbort, { once: true });
    if (!signal.aborted) await Promise.race([this.#tried.promise, aborted]);
    signal.removeEventListener("abort", onAbort);
    signal.throwIfAborted();
  }

  /** What is known of the host. `undefined` facts mean that it has not answered since the start. */
  get facts(): HostFacts | undefined {
    return this.#facts;
  }

  get isReachable(): boolean {
    return this.#problem === undefined;
  }

  /** The host as the port shows it; one that fails to answer now is one that does not answer. */
  async state(signal: AbortSignal): Promise<HostState> {
    let problem = this.#problem;
    let unknown: readonly HostDomain[] = [];
    try {
      if (problem === undefined) {
        unknown = (await this.domains(signal)).filter(({ state }) => state === undefined);
      }
    } catch (error) {
      signal.throwIfAborted();
      problem = error instanceof Error ? error.message : String(error);
    }
    return {
      name: this.name,
      reachable: problem === undefined,
      ...(problem !== undefined && { message: problem }),
      hypervisor: "libvirt",
      hypervisorVersion: this.#facts?.version ?? "",
      cpus: this.#facts?.cpus ?? 0,
      memoryBytes: this.#facts?.memoryBytes ?? 0,
      labels: this.#labels,
      ...(this.#facts && { cpu: this.#facts.cpu }),
      unknownGuests: unknown.map(({ description }) => description.name).sort(),
    };
  }

  /** Every domain of the host. */
  async domains(signal: AbortSignal): Promise<HostDomain[]> {
    const { domains } = await this.connections.call(
      procedures.connectListAllDomains,
      { needResults: true, flags: 0 },
      { signal },
    );
    const found = await Promise.all(domains.map((handle) => this.describe(handle, signal)));
    return found.filter((domain) => domain !== undefined);
  }

  /** The domain of a guest; `undefined` when the host has none. */
  async domain(uuid: string, signal: AbortSignal): Promise<HostDomain | undefined> {
    try {
      const { domain } = await this.connections.call(
        procedures.domainLookupByUuid,
        { uuid },
        { signal },
      );
      return await this.describe(domain, signal);
    } catch (error) {
      if (isNotFoundError(error)) return undefined;
      throw error;
    }
  }

  /** A domain with its state; `undefined` when it has gone meanwhile. */
  async describe(domain: DomainHandle, signal: AbortSignal): Promise<HostDomain | undefined> {
    try {
      const [{ xml }, state] = await Promise.all([
        // It never waits for QEMU, and must not wait for calls that do.
        this.connections.call(
          procedures.domainGetXmlDesc,
          { domain, flags: 0 },
          { signal, role: "control" },
        ),
        this.connections.call(procedures.domainGetState, { domain, flags: 0 }, { signal }),
      ]);
      const read = describeDomain(xml);
      const description = {
        ...read,
        endedByReset: read.endedByReset || this.#resets.has(domain.uuid),
      };
      const { mark, migration } = description;
      return {
        handle: domain,
        description,
        power: state,
        state: mark && {
          ...guestState(description, mark, this.name, state),
          ...(migration && {
            migration: this.#migrations.stateOf(domain.uuid, migration, this.name),
          }),
        },
        inTransit: isInTransit(state, migration, this.name),
      };
    } catch (error) {
      if (isNotFoundError(error)) return undefined;
      throw error;
    }
  }

  /** Connects to another unix socket of the host; see {@link hostSocketFactory}. */
  async connectToSocket(path: string, signal: AbortSignal): Promise<Duplex> {
    return hostSocketFactory(this.#transport, path)({ signal });
  }

  /** Keeps a fact about a guest with its domain; see {@link DomainNote}. `xml` absent: forgets it. */
  async note(
    domain: DomainHandle,
    { uri, prefix, xml }: Omit<DomainNote, "xml"> & { readonly xml?: string },
    impact: "live" | "config",
    signal: AbortSignal,
  ): Promise<void> {
    const flags = impact === "live" ? AFFECT_LIVE : AFFECT_CONFIG;
    await this.connections.call(
      procedures.domainSetMetadata,
      { domain, type: METADATA_ELEMENT, metadata: xml, key: prefix, uri, flags },
      { signal },
    );
  }

  /** Tells a listener of what happens to domains until it is taken out by the function that is given back. */
  listen(listener: DomainEventListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Reports the state of a guest: something about it has changed of which libvirt does not tell. */
  reportGuest(domain: DomainHandle): void {
    const report = this.#reports.get(domain.uuid);
    if (report) report.again = true;
    else void this.#reportUntilStill(domain);
  }

  /** Sends the host's events to a channel until it is taken out with {@link unsubscribe}. */
  subscribe(channel: BoundedChannel<HypervisorEvent>): void {
    this.#channels.add(channel);
  }

  unsubscribe(channel: BoundedChannel<HypervisorEvent>): void {
    this.#channels.delete(channel);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ending.abort(new Error(`the connection to host "${this.name}" was closed`));
    this.frozenGuests.release();
    await this.connections.close();
    await this.#following;
  }

  async #follow(): Promise<void> {
    const { signal } = this.#ending;
    let failures = 0;
    while (!signal.aborted) {
      try {
        const formerResets = this.#resets.seen();
        await followDomainEvents(
          this.connections,
          {
            onEvent: (event) => this.#onDomainEvent(event),
            onLost: () => this.#onLost(),
          },
          {
            signal,
            onReady: async () => {
              this.#facts = await readHostFacts(this.connections, signal);
              const domains = await this.domains(signal);
              await this.#resets.settle(formerResets, domains, signal);
              this.frozenGuests.resume(domains);
              this.#problem = undefined;
              failures = 0;
              this.#tried.resolve();
              this.#emit({ type: "host", host: this.name });
              // Listening began before the first list, so what the list lacks comes as an event.
              this.#onLost();
            },
          },
        );
      } catch (error) {
        if (signal.aborted) return;
        const message = error instanceof Error ? error.message : String(error);
        if (this.#problem === undefined) {
          this.#logger.warn({ host: this.name, error: message }, "lost the connection to the host");
        }
        this.#problem = message;
        this.#tried.resolve();
        this.#emit({ type: "host", host: this.name });
      }
      failures += 1;
      await pause(reconnectPause(failures), signal);
    }
  }

  #onDomainEvent(event: DomainEvent): void {
    const { domain } = event;
    if (event.type === "guest-reset") this.#resets.add(domain.uuid);
    if (event.type === "lifecycle" && event.event === EVENT_STARTED)
      this.#resets.delete(domain.uuid);
    for (const listener of this.#listeners) listener(event);
    this.reportGuest(domain);
  }

  #onLost(): void {
    for (const listener of this.#listeners) listener({ type: "lost" });
    this.#emit({ type: "resync" });
  }

  /** Each domain by itself, so that one that is slow to answer holds up no other. */
  async #reportUntilStill(domain: DomainHandle): Promise<void> {
    const report = { again: true };
    this.#reports.set(domain.uuid, report);
    try {
      while (report.again) {
        report.again = false;
        await this.#report(domain, this.#ending.signal);
      }
    } catch (error) {
      if (this.#ending.signal.aborted) return;
      // Without an answer, the guest is listed again when the host answers.
      this.#logger.debug({ host: this.name, error: String(error) }, "could not look at a guest");
      this.#emit({ type: "resync" });
    } finally {
      this.#reports.delete(domain.uuid);
    }
  }

  async #report(domain: DomainHandle, signal: AbortSignal): Promise<void> {
    const found = await this.describe(domain, signal);
    if (found === undefined) {
      this.#resets.delete(domain.uuid);
      // It is on its way, and whoever follows that reports where it has got to.
      if (this.#migrations.get(domain.uuid)) return;
      this.#emit({ type: "guest-removed", uid: domain.uuid, host: this.name });
    }
    if (found?.inTransit) return;
    // A guest that is not ours has come, gone or changed: the host shows it.
    if (found?.state === undefined) return this.#emit({ type: "host", host: this.name });
    this.#emit({ type: "guest", guest: found.state });
    await this.#resets.keep(found, signal);
  }

  #emit(event: HypervisorEvent): void {
    for (const channel of this.#channels) channel.push(event);
  }
}

function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const end = (): void => {
      clearTimeout(timer);
      signal.removeEventListener("abort", end);
      resolve();
    };
    const timer = setTimeout(end, milliseconds);
    signal.addEventListener("abort", end, { once: true });
  });
}
