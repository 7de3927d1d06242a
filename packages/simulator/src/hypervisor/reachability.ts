import type { Clock, Timer } from "@polyvisor/core";
import type { SimulatedHost } from "../hosts/simulated-host.ts";
import type { Network } from "../network/network.ts";

/** Milliseconds until a connection that is dead is noticed, and until it is made again. */
export interface Patience {
  readonly lost: number;
  readonly back: number;
}

/** Which hosts somebody believes to answer: the truth, noticed late. */
export class Reachability {
  readonly #from: string;
  readonly #clock: Clock;
  readonly #network: Network;
  readonly #patience: Patience;
  readonly #seen = new Set<SimulatedHost>();
  readonly #timers = new Map<SimulatedHost, Timer>();
  readonly #listeners: ((host: SimulatedHost, seen: boolean) => void)[] = [];

  /** @param options.from Who looks, as the network calls it. */
  constructor(options: {
    readonly from: string;
    readonly clock: Clock;
    readonly network: Network;
    readonly hosts: Iterable<SimulatedHost>;
    readonly patience: Patience;
  }) {
    this.#from = options.from;
    this.#clock = options.clock;
    this.#network = options.network;
    this.#patience = options.patience;
    for (const host of options.hosts) if (host.isReady) this.#seen.add(host);
  }

  onChange(notify: (host: SimulatedHost, seen: boolean) => void): void {
    this.#listeners.push(notify);
  }

  isSeen(host: SimulatedHost): boolean {
    return this.#seen.has(host);
  }

  /** True when it does answer. */
  isUp(host: SimulatedHost): boolean {
    return host.isReady && this.#network.isUp(this.#from, host.name);
  }

  /** The host's power or its link has changed. */
  check(host: SimulatedHost): void {
    const pending = this.#timers.get(host);
    pending?.cancel();
    this.#timers.delete(host);
    const up = this.isUp(host);
    if (up === this.#seen.has(host)) {
      // What was said in between is lost.
      if (up && pending) this.#tell(host, up);
      return;
    }
    const { back, lost } = this.#patience;
    const timer = this.#clock.setTimer(up ? back : lost, () => {
      this.#timers.delete(host);
      if (up) this.#seen.add(host);
      else this.#seen.delete(host);
      this.#tell(host, up);
    });
    this.#timers.set(host, timer);
  }

  /** Something else about the host has changed. */
  refresh(host: SimulatedHost): void {
    if (this.isSeen(host) && this.isUp(host)) this.#tell(host, true);
  }

  #tell(host: SimulatedHost, seen: boolean): void {
    for (const notify of this.#listeners) notify(host, seen);
  }
}
