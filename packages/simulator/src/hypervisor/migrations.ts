import type { Clock, GuestDisk, MigrationState, Timer } from "@polyvisor/core";
import type { GuestEngine } from "../guests/guest-engine.ts";
import type { GuestRun } from "../guests/guest-run.ts";
import type { SimulatedHost } from "../hosts/simulated-host.ts";
import type { Network } from "../network/network.ts";

/** 10 Gbit/s. */
const LINK_BYTES_PER_SECOND = 1.25e9;
/** Milliseconds. */
const PREPARATION = 500;
const TICK = 1_000;
/** A guest is held for so many milliseconds at most while it is switched over. */
const DOWNTIME = 300;

/** A migration as it is ordered. */
export interface MigrationOrder {
  readonly id: string;
  readonly target: SimulatedHost;
  /** The guest's disks as the target finds them. */
  readonly disks: readonly GuestDisk[];
  readonly autoConverge: boolean;
  readonly bandwidthBytesPerSecond?: number;
}

interface Active {
  readonly run: GuestRun;
  readonly order: MigrationOrder;
  readonly bytesPerSecond: number;
  timer: Timer | undefined;
  /** Bytes that the present pass over the memory has left, and had at first. */
  left: number;
  pass: number;
  /** Bytes that the guest has written since the pass began. */
  dirty: number;
  throttle: number;
}

/**
 * Moves guests between hosts as QEMU does: pass after pass over the memory that the guest has written meanwhile, until
 * what is left can be moved while the guest is held.
 */
export class Migrations {
  readonly #clock: Clock;
  readonly #engine: GuestEngine;
  readonly #network: Network;
  readonly #active = new Map<GuestRun, Active>();

  constructor(options: {
    readonly clock: Clock;
    readonly engine: GuestEngine;
    readonly network: Network;
  }) {
    this.#clock = options.clock;
    this.#engine = options.engine;
    this.#network = options.network;
    this.#engine.listen({
      onChange: (run) => {
        if (!run.isActive) this.#fail(run, "the guest has ended");
      },
      onForgotten: () => {},
    });
  }

  /** Why a guest cannot be moved to a host; `undefined` when it can. */
  objection(run: GuestRun, target: SimulatedHost, disks: readonly GuestDisk[]): string | undefined {
    const source = run.host;
    if (target === source) return `the guest is on host "${source.name}" already`;
    if (this.#active.has(run)) return "another migration of the guest is under way";
    if (run.power !== "running") return `the guest is ${run.power}`;
    if (!target.isReady || !this.#network.isUp(source.name, target.name))
      return `host "${source.name}" does not reach host "${target.name}"`;
    const namesake = [...target.guests.values()].find(({ title }) => title === run.title);
    if (namesake?.isActive) return `host "${target.name}" has a guest of that name`;
    return (
      target.objection(run.spec) ??
      disks.map((disk) => this.#engine.access.objection(target, disk)).find(Boolean)
    );
  }

  begin(run: GuestRun, order: MigrationOrder): void {
    const { spec } = run;
    order.target.expected.set(spec.uid, spec.memoryBytes);
    const active: Active = {
      run,
      order,
      bytesPerSecond: Math.min(
        order.bandwidthBytesPerSecond ?? LINK_BYTES_PER_SECOND,
        LINK_BYTES_PER_SECOND,
      ),
      timer: undefined,
      left: spec.memoryBytes,
      pass: spec.memoryBytes,
      dirty: 0,
      throttle: 0,
    };
    this.#active.set(run, active);
    this.#engine.record("migration-begun", run, { target: order.target.name, id: order.id });
    this.#tell(active, "preparing");
    active.timer = this.#clock.setTimer(PREPARATION, () => {
      if (!this.#check(active)) return;
      this.#tell(active, "copying");
      active.timer = this.#clock.setTimer(TICK, () => this.#tick(active));
    });
  }

  /**
   * Does nothing when it is over or the guest is being switched. One that has not begun is refused from then on: its
   * beginning may still be on the way.
   */
  cancel(run: GuestRun, id: string): void {
    const active = this.#active.get(run);
    if (active?.order.id === id) {
      if (run.migration?.phase !== "switching") this.#end(active, "cancelled", "cancelled");
    } else if (run.migration?.id !== id) {
      run.cancelledMigrations ??= new Set();
      run.cancelledMigrations.add(id);
    }
  }

  /** A host or a link has changed: migrations that cannot go on fail. */
  checkAll(): void {
    for (const active of this.#active.values()) this.#check(active);
  }

  #check(active: Active): boolean {
    const { run, order } = active;
    const source = run.host.name;
    if (order.target.isReady && this.#network.isUp(source, order.target.name)) return true;
    this.#fail(run, `host "${source}" lost host "${order.target.name}"`);
    return false;
  }

  #tick(active: Active): void {
    const { run, order, bytesPerSecond } = active;
    if (!this.#check(active)) return;
    for (let time = TICK / 1000; time > 0;) {
      const slice = Math.min(time, active.left / bytesPerSecond);
      const written = run.behaviour.dirtyBytesPerSecond * (1 - active.throttle / 100);
      active.left -= slice * bytesPerSecond;
      active.dirty = Math.min(run.spec.memoryBytes, active.dirty + slice * written);
      time -= slice;
      if (active.left > 1) break;
      if (active.dirty / bytesPerSecond <= DOWNTIME / 1000) {
        this.#switch(active);
        return;
      }
      const converges = active.dirty < 0.9 * active.pass;
      if (!converges && order.autoConverge)
        active.throttle = active.throttle === 0 ? 20 : Math.min(99, active.throttle + 10);
      active.pass = active.dirty;
      active.left = active.dirty;
      active.dirty = 0;
    }
    this.#tell(active, "copying");
    active.timer = this.#clock.setTimer(TICK, () => this.#tick(active));
  }

  /** The guest is held on the source. Whatever happens to the target until the end, it goes on there. */
  #switch(active: Active): void {
    this.#tell(active, "switching");
    active.timer = this.#clock.setTimer(DOWNTIME, () => {
      if (!this.#check(active)) return;
      const { run, order } = active;
      this.#forget(active);
      const former = order.target.guests.get(run.spec.uid);
      if (former) this.#engine.forget(former);
      this.#engine.move(run, order.target);
      run.disks = order.disks;
      this.#engine.record("guest-migrated", run, { id: order.id });
      this.#tell(active, "succeeded");
      this.#engine.checkDisks(run);
    });
  }

  #fail(run: GuestRun, message: string): void {
    const active = this.#active.get(run);
    if (active) this.#end(active, "failed", message);
  }

  #end(active: Active, phase: "failed" | "cancelled", message: string): void {
    this.#forget(active);
    this.#engine.record(`migration-${phase}`, active.run, { id: active.order.id, message });
    this.#tell(active, phase, message);
  }

  #forget(active: Active): void {
    active.timer?.cancel();
    this.#active.delete(active.run);
    active.order.target.expected.delete(active.run.spec.uid);
  }

  #tell(active: Active, phase: MigrationState["phase"], message?: string): void {
    const { run, order, throttle } = active;
    const done = phase === "succeeded" || phase === "switching";
    const source = run.migration?.id === order.id ? run.migration.source : run.host.name;
    run.migration = {
      id: order.id,
      source,
      target: order.target.name,
      phase,
      totalBytes: run.spec.memoryBytes,
      remainingBytes: done ? 0 : Math.round(Math.max(0, active.left) + active.dirty),
      throttlePercent: throttle,
      ...(message !== undefined && { message }),
    };
    this.#engine.changed(run);
  }
}
