import { PolyvisorError } from "@polyvisor/core";
import type { EventLog } from "../event-log.ts";

/** What a link does with what is sent over it. */
export type LinkState = "up" | "down" | "answers-lost";

/** What is lost on a link that is cut: everything, or only what comes back to the one who asked. */
export type CutLoss = "everything" | "answers";

/** Who can reach whom. Everyone can, until a link is cut. */
export class Network {
  readonly #log: EventLog;
  readonly #endpoints = new Set<string>();
  readonly #cuts = new Map<string, CutLoss[]>();
  readonly #listeners: ((a: string, b: string) => void)[] = [];

  constructor(log: EventLog) {
    this.#log = log;
  }

  /** @throws `POLYVISOR_INVALID` when something else has the name. */
  addEndpoint(name: string): void {
    if (this.#endpoints.has(name)) {
      const message = `two things in the data centre are called "${name}": hosts, storages and fences need different names, and "manager", "cluster" and "images" are taken`;
      throw new PolyvisorError("POLYVISOR_INVALID", message);
    }
    this.#endpoints.add(name);
  }

  /** Calls `notify` when a link was cut or mended. */
  onChange(notify: (a: string, b: string) => void): void {
    this.#listeners.push(notify);
  }

  link(a: string, b: string): LinkState {
    const cuts = this.#cuts.get(keyOf(a, b));
    if (cuts === undefined || cuts.length === 0) return "up";
    return cuts.includes("everything") ? "down" : "answers-lost";
  }

  isUp(a: string, b: string): boolean {
    return this.link(a, b) === "up";
  }

  /**
   * Cuts a link until the result is disposed of. A link may be cut several times over.
   *
   * @throws `POLYVISOR_NOT_FOUND` for a name that nothing in the data centre has.
   */
  cut(a: string, b: string, lose: CutLoss = "everything"): Disposable {
    this.check(a);
    this.check(b);
    const key = keyOf(a, b);
    const cuts = this.#cuts.get(key) ?? [];
    this.#cuts.set(key, cuts);
    cuts.push(lose);
    this.#tell("link-cut", a, b, lose);
    let mended = false;
    return {
      [Symbol.dispose]: () => {
        if (mended) return;
        mended = true;
        cuts.splice(cuts.indexOf(lose), 1);
        this.#tell("link-mended", a, b, lose);
      },
    };
  }

  check(name: string): void {
    if (this.#endpoints.has(name)) return;
    const known = [...this.#endpoints].join(", ");
    throw new PolyvisorError(
      "POLYVISOR_NOT_FOUND",
      `nothing in the data centre is called ${JSON.stringify(name)}: there are ${known}`,
    );
  }

  #tell(event: string, a: string, b: string, lose: CutLoss): void {
    this.#log.record(event, { between: [a, b], ...(lose === "answers" && { lose }) });
    for (const notify of this.#listeners) notify(a, b);
  }
}

function keyOf(a: string, b: string): string {
  return a < b ? `${a}|${b}` : `${b}|${a}`;
}
