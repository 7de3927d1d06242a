/** A port whose calls can be held up on their way. */
export interface Gated<T> {
  readonly port: T;
  /** Holds up the calls of a verb from now on; gives back what lets them go on. */
  close(verb: string): () => void;
  /** Calls that are held up. */
  held(verb: string): number;
}

function signalAmong(args: readonly unknown[]): AbortSignal | undefined {
  return args
    .map((arg) => (arg instanceof AbortSignal ? arg : (arg as { signal?: unknown })?.signal))
    .find((signal) => signal instanceof AbortSignal);
}

/** Wraps a port so that calls can be held up; a call that is aborted meanwhile never arrives. */
export function withGates<T extends object>(target: T): Gated<T> {
  const closed = new Map<string, Promise<void>>();
  const waiting = new Map<string, number>();
  const count = (verb: string, by: number): void =>
    void waiting.set(verb, (waiting.get(verb) ?? 0) + by);
  const pass = async (verb: string, signal: AbortSignal | undefined): Promise<void> => {
    const gate = closed.get(verb);
    if (gate === undefined) return;
    const aborted = new Promise<never>((_, reject) => {
      signal?.addEventListener("abort", () => reject(signal.reason as Error), { once: true });
    });
    count(verb, 1);
    await Promise.race([gate, aborted]).finally(() => count(verb, -1));
  };
  const port = new Proxy(target, {
    get(inner, property) {
      const member: unknown = Reflect.get(inner, property, inner);
      if (typeof member !== "function") return member;
      const method = member.bind(inner) as (...args: unknown[]) => unknown;
      if (typeof property === "symbol" || property === "watch") return method;
      return async (...args: unknown[]) => {
        await pass(property, signalAmong(args));
        return method(...args);
      };
    },
  });
  return {
    port,
    held: (verb) => waiting.get(verb) ?? 0,
    close: (verb) => {
      const { promise, resolve } = Promise.withResolvers<void>();
      closed.set(verb, promise);
      return () => {
        closed.delete(verb);
        resolve();
      };
    },
  };
}
