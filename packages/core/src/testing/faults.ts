/** One fault: which calls of a port fail, and how. */
export interface FaultRule {
  /** Name of the verb, such as `startGuest`. */
  readonly verb: string;
  readonly error: Error;
  /** `before`: the call never arrives. `after`: it is carried out and its answer is lost. Default `before`. */
  readonly when?: "before" | "after";
  /** How many calls fail. Default 1. */
  readonly times?: number;
}

/** A port that fails by rules, and the list of rules, to which more can be added at any time. */
export interface Faulty<T> {
  readonly port: T;
  readonly rules: FaultRule[];
}

const FACETS: ReadonlySet<string | symbol> = new Set([
  "agent",
  "consoles",
  "content",
  "expansion",
  "hotplug",
  "migration",
  "snapshots",
]);

/** Wraps a port so that calls can be made to fail. Facets are wrapped too. */
export function withFaults<T extends object>(target: T): Faulty<T> {
  const rules: FaultRule[] = [];
  const used = new Map<FaultRule, number>();
  const take = (verb: string, when: "before" | "after"): Error | undefined => {
    const rule = rules.find(
      (candidate) =>
        candidate.verb === verb &&
        (candidate.when ?? "before") === when &&
        (used.get(candidate) ?? 0) < (candidate.times ?? 1),
    );
    if (rule) used.set(rule, (used.get(rule) ?? 0) + 1);
    return rule?.error;
  };
  const wrap = <P extends object>(object: P): P =>
    new Proxy(object, {
      get(inner, property) {
        const member: unknown = Reflect.get(inner, property, inner);
        const facet = FACETS.has(property);
        if (facet && typeof member === "object" && member !== null) return wrap(member);
        if (typeof member !== "function") return member;
        const method = member.bind(inner) as (...args: unknown[]) => unknown;
        // What gives back an iterable is not a promise and is left as it is.
        if (typeof property === "symbol" || property === "watch") return method;
        return async (...args: unknown[]) => {
          const before = take(property, "before");
          if (before) throw before;
          const result = await method(...args);
          const after = take(property, "after");
          if (after) throw after;
          return result;
        };
      },
    });
  return { port: wrap(target), rules };
}
