import { type Clock, type Fencing, PolyvisorError, type PowerState } from "@polyvisor/core";
import type { Verb } from "../faults/fault.ts";
import type { SimulatedHost } from "../hosts/simulated-host.ts";
import type { Wire } from "../network/wire.ts";
import { type Duration, readDuration } from "../time/duration.ts";
import { pause } from "../time/pause.ts";

/** A fence device. */
export interface FenceOptions {
  readonly name: string;
  /** Hosts that it has power over. Default: all. */
  readonly hosts?: readonly string[];
  /** How long it takes to turn a host on or off. Default `4s`. */
  readonly delay?: Duration;
}

/** Milliseconds each way. */
const LATENCY = 20;

/** Turns hosts on and off over a network of its own. */
export class SimulatedFencing implements Fencing {
  readonly name: string;
  readonly #hosts: ReadonlyMap<string, SimulatedHost>;
  readonly #delay: number;
  readonly #clock: Clock;
  readonly #wire: Wire;

  constructor(
    options: FenceOptions,
    context: {
      readonly clock: Clock;
      readonly wire: Wire;
      readonly hosts: ReadonlyMap<string, SimulatedHost>;
    },
  ) {
    const { name, hosts, delay = "4s" } = options;
    this.name = name;
    this.#delay = readDuration(delay, `fence ${name}: delay`);
    this.#clock = context.clock;
    this.#wire = context.wire;
    this.#hosts = new Map(
      [...context.hosts].filter(([host]) => hosts === undefined || hosts.includes(host)),
    );
  }

  async hosts(signal: AbortSignal): Promise<readonly string[]> {
    signal.throwIfAborted();
    return [...this.#hosts.keys()];
  }

  power(host: string, signal: AbortSignal): Promise<PowerState> {
    return this.#call("readPower", host, signal, (found) => readPower(found));
  }

  async powerOff(host: string, signal: AbortSignal): Promise<void> {
    await this.#call("powerOff", host, signal, async (found) => {
      if (found.power === "off") return;
      await pause(this.#clock, this.#delay, signal);
      found.powerOff();
    });
    await this.#readBack(host, "off", signal);
  }

  async powerOn(host: string, signal: AbortSignal): Promise<void> {
    await this.#call("powerOn", host, signal, async (found) => {
      if (found.power !== "off") return;
      await pause(this.#clock, this.#delay, signal);
      found.powerOn();
    });
    await this.#readBack(host, "on", signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {}

  async #readBack(host: string, wanted: PowerState, signal: AbortSignal): Promise<void> {
    const power = await this.power(host, signal).catch((error: unknown) => {
      signal.throwIfAborted();
      throw unknown(`the power of host "${host}" could not be read back`, error);
    });
    if (power !== wanted) throw unknown(`host "${host}" is ${power} again`);
  }

  #call<T>(
    verb: Verb,
    host: string,
    signal: AbortSignal,
    act: (host: SimulatedHost) => T | Promise<T>,
  ): Promise<T> {
    const described = `fence "${this.name}"`;
    return this.#wire.call(
      { verb, host, to: this.name, described, latency: LATENCY, signal },
      () => {
        const found = this.#hosts.get(host);
        if (found) return act(found);
        const known = [...this.#hosts.keys()].join(", ");
        throw new PolyvisorError(
          "POLYVISOR_NOT_FOUND",
          `${described} has no power over host ${JSON.stringify(host)}: it has over ${known}`,
        );
      },
    );
  }
}

function readPower({ power }: SimulatedHost): PowerState {
  return power === "off" ? "off" : "on";
}

function unknown(message: string, cause?: unknown): PolyvisorError {
  return new PolyvisorError("POLYVISOR_OUTCOME_UNKNOWN", message, { cause });
}
