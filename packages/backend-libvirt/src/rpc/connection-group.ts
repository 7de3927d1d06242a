import type { LibvirtConnection } from "./connection.ts";
import { abortedError, RpcError } from "./rpc-error.ts";

interface ConnectionGroupOptions {
  readonly limit: number;
  readonly open: (signal: AbortSignal) => Promise<LibvirtConnection>;
}

const busyAt = 4;

/** The interchangeable connections of one role: opened when needed, replaced when they end. */
export class ConnectionGroup {
  readonly #options: ConnectionGroupOptions;
  readonly #connections = new Set<LibvirtConnection>();
  readonly #shutdown = new AbortController();
  #opening: Promise<LibvirtConnection> | undefined;

  constructor(options: ConnectionGroupOptions) {
    this.#options = options;
  }

  /** The open connections. */
  get connections(): readonly LibvirtConnection[] {
    return [...this.#connections];
  }

  /**
   * Runs `action` on the connection on which it waits least, at once after choosing it, so that
   * the calls of a burst see each other's load.
   */
  async use<Value>(
    signal: AbortSignal | undefined,
    action: (connection: LibvirtConnection) => Promise<Value>,
  ): Promise<Value> {
    for (;;) {
      if (this.#shutdown.signal.aborted) throw poolClosed();
      if (signal?.aborted === true) throw abortedError("Waiting for a connection", signal);
      const connection = this.#choose();
      if (connection !== undefined) return action(connection);
      await this.#openOne(signal);
    }
  }

  /** Closes every connection; later uses fail. */
  async close(): Promise<void> {
    this.#shutdown.abort(poolClosed());
    await this.#opening?.catch(() => {});
    await Promise.all(this.connections.map((connection) => connection.close()));
  }

  // A connection with abandoned calls is avoided: what holds them up may hold up the next call.
  #choose(): LibvirtConnection | undefined {
    const [best] = this.connections.toSorted((a, b) => waitingCost(a) - waitingCost(b));
    if (best === undefined || waitingCost(best) < busyAt) return best;
    if (this.#connections.size < this.#options.limit) return undefined;
    if (!isStuck(best)) return best;
    this.#connections.delete(best);
    void best.close();
    return undefined;
  }

  #openOne(signal: AbortSignal | undefined): Promise<LibvirtConnection> {
    this.#opening ??= this.#open().finally(() => {
      this.#opening = undefined;
    });
    return withSignal(this.#opening, signal);
  }

  async #open(): Promise<LibvirtConnection> {
    const { signal } = this.#shutdown;
    let connection: LibvirtConnection;
    try {
      connection = await this.#options.open(signal);
    } catch (error) {
      throw signal.aborted ? poolClosed() : error;
    }
    if (signal.aborted) {
      await connection.close();
      throw poolClosed();
    }
    this.#connections.add(connection);
    void connection.ended.then(() => this.#connections.delete(connection));
    return connection;
  }
}

/** The result of `promise` unless the signal fires first. */
export function withSignal<Value>(
  promise: Promise<Value>,
  signal: AbortSignal | undefined,
): Promise<Value> {
  if (signal === undefined) return promise;
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(abortedError("Waiting for a connection", signal));
    signal.addEventListener("abort", onAbort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", onAbort));
  });
}

/** The error of everything that a closed pool is asked for. */
export function poolClosed(): RpcError {
  return new RpcError("RPC_CLOSED", "The libvirt connection pool is closed.");
}

function waitingCost({ load }: LibvirtConnection): number {
  return load.inFlight + load.queued + load.abandoned * busyAt;
}

function isStuck({ load }: LibvirtConnection): boolean {
  return load.abandoned >= busyAt && load.inFlight === load.abandoned && load.queued === 0;
}
