import { type Clock, PolyvisorError } from "@polyvisor/core";
import type { EventLog } from "../event-log.ts";
import type { Call, CallFate, FaultPlan } from "../faults/fault-plan.ts";
import { pause } from "../time/pause.ts";
import type { LinkState, Network } from "./network.ts";

/** Milliseconds after which a caller gives up on somebody who does not answer. */
const PATIENCE = 5_000;

/** A call, and over which link it goes. */
export interface WireCall extends Call {
  /** Whom it is sent to; the manager sends it. */
  readonly to: string;
  /** How to call that one in messages, such as `host "node-1"`. */
  readonly described: string;
  /** False while that one has no power. Default: always true. */
  readonly isUp?: () => boolean;
  /** Milliseconds each way. */
  readonly latency: number;
  readonly signal?: AbortSignal | undefined;
}

/** Carries calls from the manager to the data centre, or does not. */
export class Wire {
  readonly #clock: Clock;
  readonly #log: EventLog;
  readonly #network: Network;
  readonly #faults: FaultPlan;

  constructor(options: {
    readonly clock: Clock;
    readonly log: EventLog;
    readonly network: Network;
    readonly faults: FaultPlan;
  }) {
    this.#clock = options.clock;
    this.#log = options.log;
    this.#network = options.network;
    this.#faults = options.faults;
  }

  /**
   * Does `act` where the call goes to.
   *
   * @throws `POLYVISOR_UNAVAILABLE` when it did not arrive, `POLYVISOR_OUTCOME_UNKNOWN` when it left and no answer came.
   */
  async call<T>(call: WireCall, act: () => T | Promise<T>): Promise<T> {
    const { signal, latency } = call;
    signal?.throwIfAborted();
    const fate = this.#faults.decide(call);
    if (fate) await pause(this.#clock, fate.delay, signal);
    if (this.#state(call) === "down") {
      await pause(this.#clock, PATIENCE, signal);
      throw this.#failed(call, "POLYVISOR_UNAVAILABLE", `${call.described} does not answer`);
    }
    this.#failBefore(call, fate);
    if (fate?.fail !== "lost-request") {
      await pause(this.#clock, latency, signal);
      if (this.#state(call) !== "down") return this.#arrived(call, fate, act);
    }
    await pause(this.#clock, PATIENCE, signal);
    throw this.#unknown(call, fate);
  }

  async #arrived<T>(
    call: WireCall,
    fate: CallFate | undefined,
    act: () => T | Promise<T>,
  ): Promise<T> {
    const result = await act();
    await pause(this.#clock, call.latency, call.signal);
    if (fate?.fail !== "lost-answer" && this.#state(call) === "up") return result;
    await pause(this.#clock, PATIENCE, call.signal);
    throw this.#unknown(call, fate);
  }

  #state({ to, isUp }: WireCall): LinkState {
    return isUp?.() === false ? "down" : this.#network.link("manager", to);
  }

  #failBefore(call: WireCall, fate: CallFate | undefined): void {
    switch (fate?.fail) {
      case "unavailable":
        throw this.#failed(
          call,
          "POLYVISOR_UNAVAILABLE",
          fate.message ?? `${call.described} does not answer`,
        );
      case "refused":
        throw this.#failed(call, "POLYVISOR_REFUSED", fate.message ?? `${call.described} says no`);
      case "failed":
        throw this.#broken(call, fate.message ?? `${call.described} failed`);
      case "lost-request":
      case "lost-answer":
      case undefined:
    }
  }

  #unknown(call: WireCall, fate: CallFate | undefined): PolyvisorError {
    const message = fate?.message ?? `the answer of ${call.described} was lost`;
    return this.#failed(call, "POLYVISOR_OUTCOME_UNKNOWN", message);
  }

  #failed(
    call: WireCall,
    code: "POLYVISOR_UNAVAILABLE" | "POLYVISOR_REFUSED" | "POLYVISOR_OUTCOME_UNKNOWN",
    message: string,
  ): PolyvisorError {
    this.#record(call, code);
    return new PolyvisorError(code, message);
  }

  /** An error that is none of the port's: whatever calls it must live with that, too. */
  #broken(call: WireCall, message: string): Error {
    this.#record(call, "none");
    return new Error(message);
  }

  #record({ verb, host, guest, storage }: WireCall, code: string): void {
    this.#log.record("call-failed", { verb, host, guest, storage, code });
  }
}
