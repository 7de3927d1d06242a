import type { GuestSpec, GuestState, Placement } from "@polyvisor/core";
import { FakeHypervisor, type FakeHypervisorOptions } from "@polyvisor/core/testing";

/** A hypervisor that takes its time, and writes down whenever two guests run that must not. */
export class GuardedHypervisor extends FakeHypervisor {
  readonly violations: string[] = [];
  readonly #turns: () => number;

  /** @param turns How long a start takes, each way, in turns of the event loop. */
  constructor(options: FakeHypervisorOptions, turns: () => number) {
    super(options);
    this.#turns = turns;
  }

  override async startGuest(
    spec: GuestSpec,
    placement: Placement,
    signal: AbortSignal,
  ): Promise<GuestState> {
    await this.#dawdle();
    const state = await super.startGuest(spec, placement, signal);
    this.check();
    await this.#dawdle();
    return state;
  }

  async #dawdle(): Promise<void> {
    for (let turn = this.#turns(); turn > 0; turn -= 1) {
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  /** Writes down what is wrong at this moment. */
  check(): void {
    const taken = new Map<string, string>();
    for (const { uid, host } of this.runningGuests()) {
      const spec = this.guest(uid)?.spec;
      const things = [
        `guest ${uid}`,
        ...(spec?.disks ?? []).map(
          ({ source }) => `disk ${"path" in source ? source.path : source.name}`,
        ),
        ...(spec?.interfaces ?? []).map(({ address }) => `address ${address}`),
      ];
      for (const thing of things) {
        const other = taken.get(thing);
        if (other !== undefined) this.violations.push(`${thing}: ${spec?.name} and ${other}`);
        taken.set(thing, `${spec?.name} on ${host}`);
      }
    }
  }
}
