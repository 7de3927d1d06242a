import type {
  BoundedChannel,
  GuestState,
  HostState,
  HypervisorEvent,
  Logger,
} from "@polyvisor/core";
import { type DomainDescription, describeDomain, guestState } from "../domain/domain-state.ts";
import { HostNetworks } from "../network/host-networks.ts";
import { type ConnectionPool, createConnectionPool } from "../rpc/connection-pool.ts";
import { createStreamFactory } from "../rpc/create-stream-factory.ts";
import { events } from "../rpc/event-definitions.ts";
import { isNotFoundError } from "../rpc/libvirt-error.ts";
import { parseLibvirtUri } from "../rpc/libvirt-uri.ts";
import { procedures } from "../rpc/procedures.ts";
import type { SaslCredentialsProvider } from "../rpc/sasl-credentials.ts";
import type { DomainHandle } from "../rpc/struct-layouts.ts";
import { HostPool } from "../storage/host-pool.ts";
import { OWN_POOL, type PoolSettings } from "../storage/storage-class.ts";
import { type HostFacts, readHostFacts } from "./host-facts.ts";
import { KeyedMutex } from "./keyed-mutex.ts";

/** Number of libvirt, `virDomainEventType`. */
const EVENT_UNDEFINED = 1;

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
  readonly logger: Logger;
}

/** A domain as a host reports it. */
export interface HostDomain {
  readonly handle: DomainHandle;
  readonly description: DomainDescription;
  /** Absent for a guest that is not ours. */
  readonly state: GuestState | undefined;
}

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
  readonly #labels: Readonly<Record<string, string>>;
  readonly #logger: Logger;
  readonly #channels = new Set<BoundedChannel<HypervisorEvent>>();
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
    this.#labels = labels;
    this.#logger = logger;
    this.connections = createConnectionPool({
      connect: createStreamFactory(transport),
      uri: driverUri,
      saslCredentials,
    });
    this.networks = new HostNetworks(this.connections);
    const pool = new HostPool(this.connections, OWN_POOL);
    this.pool = pool;
    this.pools = new Map(
      Array.from(pools, ([className, settings]) => [
        className,
        settings === OWN_POOL ? pool : new HostPool(this.connections, settings),
      ]),
    );
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
        this.connections.call(procedures.domainGetXmlDesc, { domain, flags: 0 }, { signal }),
        this.connections.call(procedures.domainGetState, { domain, flags: 0 }, { signal }),
      ]);
      const description = describeDomain(xml);
      const { mark } = description;
      return {
        handle: domain,
        description,
        state: mark && guestState(description, mark, this.name, state),
      };
    } catch (error) {
      if (isNotFoundError(error)) return undefined;
      throw error;
    }
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
    await this.connections.close();
    await this.#following;
  }

  async #follow(): Promise<void> {
    const { signal } = this.#ending;
    let failures = 0;
    while (!signal.aborted) {
      try {
        await using lifecycle = await this.connections.subscribe(events.domainLifecycle, {
          signal,
        });
        this.#facts = await readHostFacts(this.connections, signal);
        this.#problem = undefined;
        failures = 0;
        this.#tried.resolve();
        this.#emit({ type: "host", host: this.name });
        // Listening began before the first list, so what the list lacks comes as an event.
        this.#emit({ type: "resync" });
        for await (const item of lifecycle) {
          if (item.type === "overflow") this.#emit({ type: "resync" });
          else await this.#report(item.event.domain, item.event.event, signal);
        }
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

  async #report(domain: DomainHandle, event: number, signal: AbortSignal): Promise<void> {
    if (event === EVENT_UNDEFINED) {
      this.#emit({ type: "guest-removed", uid: domain.uuid, host: this.name });
      this.#emit({ type: "host", host: this.name });
      return;
    }
    const found = await this.describe(domain, signal);
    if (found?.state) this.#emit({ type: "guest", guest: found.state });
    // A guest that is not ours has come, gone or changed: the host shows it.
    else this.#emit({ type: "host", host: this.name });
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
