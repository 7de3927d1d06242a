import type { Clock } from "@polyvisor/core";
import type { Chance } from "../time/chance.ts";
import { readDuration } from "../time/duration.ts";
import type { CallFault, Failure, Verb } from "./fault.ts";
import { globMatcher } from "./glob.ts";

/** A call of a port. */
export interface Call {
  readonly verb: Verb;
  readonly host?: string | undefined;
  /** `namespace/name`. */
  readonly guest?: string | undefined;
  readonly storage?: string | undefined;
}

/** What is to become of a call. */
export interface CallFate {
  /** Milliseconds that it takes longer. */
  readonly delay: number;
  readonly fail?: Failure;
  readonly message?: string;
}

interface Rule {
  readonly fault: CallFault;
  readonly fits: (call: Call) => boolean;
  readonly from: number;
  readonly to: number;
  readonly chance: Chance;
  seen: number;
}

/** Decides which calls fail. The first rule that hits a call decides. */
export class FaultPlan {
  readonly #clock: Clock;
  readonly #chance: Chance;
  readonly #start: number;
  readonly #rules: Rule[] = [];
  #added = 0;

  constructor(options: { readonly clock: Clock; readonly chance: Chance }) {
    this.#clock = options.clock;
    this.#chance = options.chance;
    this.#start = options.clock.now();
  }

  /** Adds a rule that stands until the result is disposed of. */
  add(fault: CallFault): Disposable {
    const from = this.#start + (fault.at === undefined ? 0 : readDuration(fault.at, "at"));
    const to = fault.for === undefined ? Infinity : from + readDuration(fault.for, "for");
    this.#added += 1;
    const chance = this.#chance.fork(`fault ${this.#added}`);
    const rule: Rule = { fault, fits: matcher(fault), from, to, chance, seen: 0 };
    this.#rules.push(rule);
    return {
      [Symbol.dispose]: () => {
        const index = this.#rules.indexOf(rule);
        if (index >= 0) this.#rules.splice(index, 1);
      },
    };
  }

  decide(call: Call): CallFate | undefined {
    if (this.#rules.length === 0) return undefined;
    const now = this.#clock.now();
    const hit = this.#rules.find((rule) => isHit(rule, call, now));
    if (hit === undefined) return undefined;
    const { fail, message, after } = hit.fault;
    return {
      delay: after === undefined ? 0 : readDuration(after, "after"),
      ...(fail !== undefined && { fail }),
      ...(message !== undefined && { message }),
    };
  }
}

function matcher(fault: CallFault): (call: Call) => boolean {
  const guest = fault.guest === undefined ? undefined : globMatcher(fault.guest);
  return (call) =>
    call.verb === fault.on &&
    (fault.host === undefined || call.host === fault.host) &&
    (fault.storage === undefined || call.storage === fault.storage) &&
    (guest === undefined || (call.guest !== undefined && guest(call.guest)));
}

/** Counts the call as well. */
function isHit(rule: Rule, call: Call, now: number): boolean {
  const { fault, fits, from, to } = rule;
  if (now < from || now >= to || !fits(call)) return false;
  rule.seen += 1;
  const { nth = 1, times = fault.nth === undefined ? Infinity : 1, probability = 1 } = fault;
  if (rule.seen < nth || rule.seen >= nth + times) return false;
  return probability === 1 || rule.chance.fraction() < probability;
}
