import type { CallOptions } from "./call-queue.ts";
import { ConnectionGroup, poolClosed, withSignal } from "./connection-group.ts";
import {
  openConnection,
  type LibvirtConnection,
  type OpenConnectionOptions,
} from "./connection.ts";
import type { EventDefinition } from "./event-definitions.ts";
import type { SubscribeOptions } from "./event-router.ts";
import type { EventSubscription } from "./event-subscription.ts";
import type { Procedure } from "./procedures.ts";
import { abortedError } from "./rpc-error.ts";

/** How many connections a pool may hold for each purpose. */
export interface ConnectionPoolLimits {
  /** For high-priority calls; default 2. Events have one connection of their own. */
  readonly control?: number;
  /** For calls that may wait for QEMU; default 3. */
  readonly bulk?: number;
  /** For streams and long jobs, one each; default 8. More wait for a free one. */
  readonly dedicated?: number;
}

/** Options of {@link createConnectionPool}. */
export interface ConnectionPoolOptions extends Omit<OpenConnectionOptions, "signal" | "dedicated"> {
  readonly limits?: ConnectionPoolLimits | undefined;
}

/** Options of a call through a pool. */
export interface PoolCallOptions extends CallOptions {
  /** Connections to use; default `control` for high-priority procedures, else `bulk`. */
  readonly role?: "control" | "bulk" | undefined;
}

/** Connections to one daemon, so that slow calls and streams never hold up the others. */
export interface ConnectionPool extends AsyncDisposable {
  /**
   * Calls a procedure on a connection of its role, opened if need be. A call is never repeated:
   * when its connection is lost, it fails and the next call gets a new connection.
   */
  call<Arguments, Result>(
    procedure: Procedure<Arguments, Result>,
    args: NoInfer<Arguments>,
    options?: PoolCallOptions,
  ): Promise<Result>;
  /**
   * Subscribes on the one connection that is kept for events; the subscription ends with it. Events of several
   * subscriptions arrive in the order in which the daemon sent them.
   */
  subscribe<Payload, Subject>(
    event: EventDefinition<Payload, Subject>,
    options?: SubscribeOptions<NoInfer<Subject>>,
  ): Promise<EventSubscription<Payload>>;
  /** Opens a connection for one stream or long job; disposing it frees its place in the pool. */
  dedicated(options?: { readonly signal?: AbortSignal | undefined }): Promise<LibvirtConnection>;
  /** How many connections are open, by purpose. */
  readonly size: {
    readonly control: number;
    readonly bulk: number;
    readonly events: number;
    readonly dedicated: number;
  };
  /** Closes every connection, the dedicated ones included. */
  close(): Promise<void>;
}

/** Creates a pool; nothing is opened before the first call. */
export function createConnectionPool(options: ConnectionPoolOptions): ConnectionPool {
  const { limits = {}, ...connectionOptions } = options;
  const { control: controlLimit = 2, bulk: bulkLimit = 3, dedicated: dedicatedLimit = 8 } = limits;
  const open = (signal: AbortSignal): Promise<LibvirtConnection> =>
    openConnection({ ...connectionOptions, signal });
  const groups = {
    control: new ConnectionGroup({ limit: controlLimit, open }),
    bulk: new ConnectionGroup({ limit: bulkLimit, open }),
    events: new ConnectionGroup({ limit: 1, open }),
  };
  const dedicated = new DedicatedConnections(dedicatedLimit, (signal) =>
    openConnection({ ...connectionOptions, dedicated: true, signal }),
  );
  const close = async (): Promise<void> => {
    await Promise.all([...Object.values(groups), dedicated].map((each) => each.close()));
  };
  return {
    call(procedure, args, { role, ...callOptions } = {}) {
      const group = groups[role ?? (procedure.priority === "high" ? "control" : "bulk")];
      return group.use(callOptions.signal, (connection) =>
        connection.call(procedure, args, callOptions),
      );
    },
    subscribe(event, subscribeOptions = {}) {
      return groups.events.use(subscribeOptions.signal, (connection) =>
        connection.subscribe(event, subscribeOptions),
      );
    },
    dedicated: ({ signal } = {}) => dedicated.open(signal),
    get size() {
      return {
        control: groups.control.connections.length,
        bulk: groups.bulk.connections.length,
        events: groups.events.connections.length,
        dedicated: dedicated.size,
      };
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}

/** Connections that are not shared, never more than a limit of them. */
class DedicatedConnections {
  readonly #limit: number;
  readonly #open: (signal: AbortSignal) => Promise<LibvirtConnection>;
  readonly #shutdown = new AbortController();
  readonly #connections = new Set<LibvirtConnection>();
  readonly #waiting = new Set<() => void>();
  #taken = 0;

  constructor(limit: number, open: (signal: AbortSignal) => Promise<LibvirtConnection>) {
    this.#limit = limit;
    this.#open = open;
  }

  get size(): number {
    return this.#connections.size;
  }

  async open(signal: AbortSignal | undefined): Promise<LibvirtConnection> {
    await this.#takePlace(signal);
    const shutdown = this.#shutdown.signal;
    const limit = signal === undefined ? shutdown : AbortSignal.any([signal, shutdown]);
    const connection = await this.#open(limit).catch((error: unknown) => {
      this.#freePlace();
      throw shutdown.aborted ? poolClosed() : error;
    });
    this.#connections.add(connection);
    void connection.ended.then(() => {
      this.#connections.delete(connection);
      this.#freePlace();
    });
    if (!shutdown.aborted) return connection;
    await connection.close();
    throw poolClosed();
  }

  async close(): Promise<void> {
    this.#shutdown.abort(poolClosed());
    for (const wake of this.#waiting) wake();
    await Promise.all([...this.#connections].map((connection) => connection.close()));
  }

  async #takePlace(signal: AbortSignal | undefined): Promise<void> {
    if (signal?.aborted === true) throw abortedError("Waiting for a connection", signal);
    while (this.#taken >= this.#limit && !this.#shutdown.signal.aborted) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#waiting.add(resolve);
      try {
        await withSignal(promise, signal);
      } finally {
        this.#waiting.delete(resolve);
      }
    }
    if (this.#shutdown.signal.aborted) throw poolClosed();
    this.#taken += 1;
  }

  #freePlace(): void {
    this.#taken -= 1;
    for (const wake of this.#waiting) return wake();
  }
}
