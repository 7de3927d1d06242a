import {
  type Clock,
  type Consoles,
  type GuestAgent,
  type GuestList,
  type GuestLocation,
  type GuestRef,
  type GuestSpec,
  type GuestState,
  type Hotplug,
  type HostState,
  type Hypervisor,
  type HypervisorCapabilities,
  type HypervisorEvent,
  type LiveMigration,
  type MigrationRequest,
  type MigrationState,
  type Placement,
  PolyvisorError,
  type StopMode,
} from "@polyvisor/core";
import type { Verb } from "../faults/fault.ts";
import type { GuestEngine } from "../guests/guest-engine.ts";
import type { GuestRun } from "../guests/guest-run.ts";
import type { SimulatedHost } from "../hosts/simulated-host.ts";
import { allCapabilities } from "../hypervisor/capabilities.ts";
import { EventChannels } from "../hypervisor/event-channels.ts";
import { checkNotCancelled, type GuestCalls, runningGuest } from "../hypervisor/guest-calls.ts";
import type { Migrations } from "../hypervisor/migrations.ts";
import type { Reachability } from "../hypervisor/reachability.ts";
import { simulatedAgent } from "../hypervisor/simulated-agent.ts";
import { noConsole, simulatedConsoles } from "../hypervisor/simulated-consoles.ts";
import { simulatedHotplug } from "../hypervisor/simulated-hotplug.ts";
import type { Network } from "../network/network.ts";
import type { Wire } from "../network/wire.ts";
import type { VolumeDirectory } from "../storage/simulated-volume.ts";
import { pause } from "../time/pause.ts";
import type { ClusterGuest } from "./cluster-guest.ts";
import { schedule, type ScheduledGuest } from "./scheduler.ts";

/** Milliseconds each way, and between a change and the scheduler's next look. */
const LATENCY = 2;
const SCHEDULING = 50;
/** Milliseconds after which a caller is told that a guest has not ended. */
const STOP_PATIENCE = 10_000;
const STEP = 50;

/**
 * A cluster that schedules by itself, behind one API server, as KubeVirt: it restarts nothing on its own, takes volumes as
 * claims, and goes on listing the guests of a lost host until it knows that host to be dead.
 */
export class ClusterHypervisor implements Hypervisor, GuestCalls {
  readonly name: string = "simulator";
  readonly capabilities: HypervisorCapabilities = allCapabilities("delegated");
  readonly consoles: Consoles;
  readonly hotplug: Hotplug;
  readonly agent: GuestAgent;
  readonly migration: LiveMigration;
  readonly #clock: Clock;
  readonly #wire: Wire;
  readonly #hosts: ReadonlyMap<string, SimulatedHost>;
  readonly #network: Network;
  readonly #engine: GuestEngine;
  readonly #volumes: VolumeDirectory;
  readonly #reachability: Reachability;
  readonly #migrations: Migrations;
  readonly #channels = new EventChannels();
  /** By uid. */
  readonly #guests = new Map<string, ClusterGuest>();
  readonly #waiting = new Set<ClusterGuest>();
  readonly #cordoned = new Set<string>();
  /** True while the scheduler's next look is due. */
  #woken = false;

  constructor(options: {
    readonly clock: Clock;
    readonly wire: Wire;
    readonly network: Network;
    readonly hosts: ReadonlyMap<string, SimulatedHost>;
    readonly engine: GuestEngine;
    /** As the cluster sees its hosts. */
    readonly reachability: Reachability;
    readonly migrations: Migrations;
    readonly volumes: VolumeDirectory;
  }) {
    this.#clock = options.clock;
    this.#wire = options.wire;
    this.#network = options.network;
    this.#hosts = options.hosts;
    this.#engine = options.engine;
    this.#volumes = options.volumes;
    this.#reachability = options.reachability;
    this.#migrations = options.migrations;
    const { engine, volumes, clock } = options;
    this.consoles = simulatedConsoles(this, engine);
    this.hotplug = simulatedHotplug({ calls: this, engine, volumes, clock });
    this.agent = simulatedAgent({ calls: this, engine, clock });
    this.migration = {
      start: (ref, request, signal) => this.#migrate(ref, request, signal),
      cancel: (ref, id, signal) => this.#cancelMigration(ref, id, signal),
    };
    engine.listen({ onChange: (run) => this.#runChanged(run), onForgotten: () => {} });
    this.#reachability.onChange((host, seen) => {
      if (seen) this.#hostIsBack(host);
      this.#send({ type: "host", host: host.name });
      this.#wakeScheduler();
    });
    this.#network.onChange((a, b) => {
      const isServer = [a, b].includes("manager") && [a, b].includes("cluster");
      if (isServer) this.#send({ type: "resync" });
    });
  }

  async open(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
  }

  hosts(signal: AbortSignal): Promise<readonly HostState[]> {
    return this.#call({ verb: "hosts", signal }, () =>
      [...this.#hosts.values()].map((host) => ({
        ...host.describe(this.#reachability.isSeen(host)),
        schedulable: !this.#cordoned.has(host.name),
        ...(host.options.taints && { taints: host.options.taints }),
      })),
    );
  }

  guests(signal: AbortSignal): Promise<GuestList> {
    return this.#call({ verb: "guests", signal }, () => ({
      guests: Array.from(this.#guests.values(), ({ seen }) => seen),
      hosts: [...this.#hosts.values()]
        .filter((host) => this.#reachability.isSeen(host))
        .map(({ name }) => name),
      complete: true,
    }));
  }

  watch(signal: AbortSignal): AsyncIterable<HypervisorEvent> {
    return this.#channels.open(signal);
  }

  async startGuest(spec: GuestSpec, place: Placement, signal: AbortSignal): Promise<GuestState> {
    if (!("within" in place))
      throw refused("the cluster chooses hosts by itself: say within what it may choose");
    const guest = `${spec.namespace}/${spec.name}`;
    return this.#call({ verb: "startGuest", guest, signal }, () => {
      const known = this.#guests.get(spec.uid);
      if (known?.spec.incarnation === spec.incarnation) return known.seen;
      this.#checkStart(spec, known);
      if (known?.run) this.#engine.forget(known.run);
      const { uid, incarnation, namespace, name } = spec;
      const message = "waits for the scheduler";
      const made: ClusterGuest = {
        spec,
        constraints: place.within,
        seen: { uid, incarnation, namespace, name, power: "pending", message },
      };
      this.#guests.set(uid, made);
      this.#waiting.add(made);
      this.#wakeScheduler();
      return made.seen;
    });
  }

  async stopGuest(
    ref: GuestRef,
    _: GuestLocation,
    mode: StopMode,
    signal: AbortSignal,
  ): Promise<void> {
    await this.#call({ verb: "stopGuest", guest: this.#title(ref.uid), signal }, async () => {
      const guest = this.#guests.get(ref.uid);
      if (guest?.spec.incarnation !== ref.incarnation) return;
      if (guest.seen.power === "pending") {
        this.#waiting.delete(guest);
        const { message: _m, ...rest } = guest.seen;
        this.#see(guest, { ...rest, power: "stopped", stopReason: "stopped" });
        return;
      }
      if (guest.seen.power === "stopped") return;
      guest.wanted = mode;
      this.#carryOutStop(guest);
      if (mode === "power-off") await this.#untilEnded(guest, signal);
    });
  }

  async removeGuest(uid: string, _: GuestLocation, signal: AbortSignal): Promise<void> {
    await this.#call({ verb: "removeGuest", guest: this.#title(uid), signal }, () => {
      const guest = this.#guests.get(uid);
      if (guest === undefined) return;
      if (guest.seen.power !== "stopped") throw refused("the guest still runs");
      this.#guests.delete(uid);
      if (guest.run) this.#engine.forget(guest.run);
      const { host } = guest.seen;
      this.#send({ type: "guest-removed", uid, ...(host !== undefined && { host }) });
    });
  }

  async onGuest<T>(
    call: { readonly verb: Verb; readonly ref: GuestRef; readonly host?: string | undefined },
    signal: AbortSignal | undefined,
    act: (run: GuestRun) => T | Promise<T>,
  ): Promise<T> {
    const { verb, ref } = call;
    const host = call.host ?? this.#guests.get(ref.uid)?.seen.host;
    return this.#call({ verb, host, guest: this.#title(ref.uid), signal }, () => {
      const run = this.#guests.get(ref.uid)?.run;
      const runs = run?.isActive === true && run.spec.incarnation === ref.incarnation;
      if (call.host === undefined && !runs) throw noConsole(ref);
      const known = runningGuest(run?.host.name === host ? run : undefined, ref, `on host ${host}`);
      if (!this.#reachability.isUp(known.host)) {
        const message = `host "${known.host.name}" does not answer the cluster`;
        throw new PolyvisorError("POLYVISOR_UNAVAILABLE", message);
      }
      return act(known);
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#channels.end();
  }

  setCordoned(host: string, cordoned: boolean): void {
    if (cordoned) this.#cordoned.add(host);
    else this.#cordoned.delete(host);
    this.#send({ type: "host", host });
    this.#wakeScheduler();
  }

  /** Somebody says that whatever ran on a host has ended. */
  declareDead(host: SimulatedHost): void {
    for (const guest of this.#guests.values()) {
      if (guest.seen.host !== host.name || guest.seen.power === "stopped") continue;
      guest.run = undefined;
      const { agentConnected: _, ...rest } = guest.seen;
      this.#see(guest, { ...rest, power: "stopped", stopReason: "host-lost" });
    }
    this.#wakeScheduler();
  }

  #checkStart(spec: GuestSpec, known: ClusterGuest | undefined): void {
    if (known && known.spec.incarnation > spec.incarnation)
      throw refused(`incarnation ${known.spec.incarnation} of the guest was here already`);
    if (known && known.seen.power !== "stopped")
      throw refused(`incarnation ${known.spec.incarnation} of the guest still runs`);
    for (const { seen } of this.#guests.values()) {
      if (seen.name === spec.name && seen.namespace === spec.namespace && seen.uid !== spec.uid)
        throw refused(`another guest has the name ${spec.namespace}/${spec.name}`);
    }
  }

  #wakeScheduler(): void {
    if (this.#waiting.size === 0 || this.#woken) return;
    this.#woken = true;
    this.#clock.setTimer(SCHEDULING, () => {
      this.#woken = false;
      this.#scheduleAll();
    });
  }

  #scheduleAll(): void {
    const placed: ScheduledGuest[] = [];
    for (const { spec, constraints, run } of this.#guests.values())
      if (run?.isActive) placed.push({ spec, constraints, host: run.host });
    for (const guest of this.#waiting) {
      const host = guest.moving ? this.#scheduleMove(guest, placed) : this.#place(guest, placed);
      if (host) placed.push({ spec: guest.spec, constraints: guest.constraints, host });
    }
  }

  #place(guest: ClusterGuest, placed: readonly ScheduledGuest[]): SimulatedHost | undefined {
    const { spec, constraints } = guest;
    const objection = (host: SimulatedHost): string | undefined =>
      this.#unfit(host) ??
      (host.objection(spec) && "node(s) didn't have the memory or the CPU") ??
      (spec.disks.some((disk) => this.#engine.access.objection(host, disk))
        ? "node(s) didn't reach the volumes"
        : undefined);
    const choice = schedule({
      spec,
      constraints,
      hosts: [...this.#hosts.values()],
      placed,
      objection,
    });
    if (choice.host === undefined) {
      if (guest.seen.message !== choice.message)
        this.#see(guest, { ...guest.seen, message: choice.message });
      return undefined;
    }
    this.#waiting.delete(guest);
    guest.run = this.#engine.start(spec, choice.host);
    this.#see(guest, guest.run.state);
    return choice.host;
  }

  /** What keeps every guest from a host. */
  #unfit(host: SimulatedHost): string | undefined {
    if (!this.#reachability.isSeen(host) || !this.#reachability.isUp(host))
      return "node(s) were not ready";
    return this.#cordoned.has(host.name) ? "node(s) were unschedulable" : undefined;
  }

  async #migrate(ref: GuestRef, request: MigrationRequest, signal: AbortSignal): Promise<void> {
    const { id, source, target, disks, autoConverge, bandwidthBytesPerSecond } = request;
    await this.onGuest({ verb: "migrate", ref, host: source }, signal, (run) => {
      const guest = this.#guests.get(ref.uid);
      if (run.migration?.id === id || guest === undefined) return;
      checkNotCancelled(run, id);
      if (!("within" in target)) throw refused("the cluster chooses the target by itself");
      if (
        guest.moving ||
        ["preparing", "copying", "switching"].includes(run.migration?.phase ?? "")
      )
        throw refused("another migration of the guest is under way");
      const bound = disks.find(
        (disk) => this.#volumes.find(disk.source)?.state.use.accessMode === "ReadWriteOnce",
      );
      if (bound) throw refused(`disk ${bound.name} can be had by one host at a time`);
      const limit = bandwidthBytesPerSecond === undefined ? {} : { bandwidthBytesPerSecond };
      guest.moving = { id, disks, autoConverge, ...limit, constraints: target.within };
      this.#waiting.add(guest);
      this.#tellMove(run, { id, source, phase: "pending", message: "waits for the scheduler" });
      this.#wakeScheduler();
    });
  }

  #scheduleMove(guest: ClusterGuest, placed: readonly ScheduledGuest[]): SimulatedHost | undefined {
    const { spec, run, moving } = guest;
    if (!run?.isActive || !moving) {
      this.#waiting.delete(guest);
      guest.moving = undefined;
      return undefined;
    }
    const { constraints, ...order } = moving;
    const objection = (host: SimulatedHost): string | undefined =>
      host === run.host
        ? "node(s) had the guest already"
        : (this.#unfit(host) ??
          (this.#migrations.objection(run, host, order.disks) &&
            "node(s) could not take the guest"));
    const hosts = [...this.#hosts.values()];
    const choice = schedule({ spec, constraints, hosts, placed, objection });
    if (choice.host === undefined) {
      const { message } = choice;
      if (run.migration?.message !== message)
        this.#tellMove(run, { id: order.id, source: run.host.name, phase: "pending", message });
      return undefined;
    }
    this.#waiting.delete(guest);
    guest.moving = undefined;
    this.#migrations.begin(run, { ...order, target: choice.host });
    return choice.host;
  }

  async #cancelMigration(ref: GuestRef, id: string, signal: AbortSignal): Promise<void> {
    const call = { verb: "cancelMigration", guest: this.#title(ref.uid), signal } as const;
    await this.#call(call, () => {
      const guest = this.#guests.get(ref.uid);
      const run = guest?.run;
      if (!guest || !run || guest.spec.incarnation !== ref.incarnation) return;
      if (guest.moving?.id === id) {
        guest.moving = undefined;
        this.#waiting.delete(guest);
        this.#tellMove(run, { id, source: run.host.name, phase: "cancelled" });
      } else this.#migrations.cancel(run, id);
    });
  }

  #tellMove(run: GuestRun, migration: MigrationState): void {
    run.migration = migration;
    this.#engine.changed(run);
  }

  #carryOutStop({ run, wanted }: ClusterGuest): void {
    if (!run || !this.#reachability.isUp(run.host)) return;
    if (wanted === "power-off") this.#engine.end(run, "stopped");
    else if (wanted === "shutdown") this.#engine.askToShutDown(run);
  }

  async #untilEnded(guest: ClusterGuest, signal: AbortSignal): Promise<void> {
    for (let waited = 0; waited < STOP_PATIENCE; waited += STEP) {
      if (guest.seen.power === "stopped") return;
      await pause(this.#clock, STEP, signal);
    }
    throw new PolyvisorError(
      "POLYVISOR_OUTCOME_UNKNOWN",
      `the cluster was told to stop the guest, and host "${guest.seen.host}" does not answer`,
    );
  }

  #runChanged(run: GuestRun): void {
    const guest = this.#guests.get(run.spec.uid);
    if (guest?.run === run && this.#reachability.isUp(run.host)) this.#see(guest, run.state);
    if (!run.isActive) this.#wakeScheduler();
  }

  /** A host answers again: what happened there meanwhile is seen now, and what the cluster gave up is ended. */
  #hostIsBack(host: SimulatedHost): void {
    for (const run of host.guests.values()) {
      const guest = this.#guests.get(run.spec.uid);
      if (guest?.run !== run) {
        this.#engine.end(run, "stopped");
        this.#engine.forget(run);
        continue;
      }
      this.#carryOutStop(guest);
      this.#see(guest, run.state);
    }
  }

  #see(guest: ClusterGuest, state: GuestState): void {
    // A host that has lost its power cannot say why its guests have ended; the cluster knows.
    const lost = state.stopReason === "unknown";
    guest.seen = lost ? { ...state, stopReason: "host-lost" } : state;
    this.#send({ type: "guest", guest: guest.seen });
  }

  #send(event: HypervisorEvent): void {
    if (this.#network.isUp("manager", "cluster")) this.#channels.send(event);
  }

  #title(uid: string): string | undefined {
    const spec = this.#guests.get(uid)?.spec;
    return spec && `${spec.namespace}/${spec.name}`;
  }

  #call<T>(
    call: {
      readonly verb: Verb;
      readonly host?: string | undefined;
      readonly guest?: string | undefined;
      readonly signal: AbortSignal | undefined;
    },
    act: () => T | Promise<T>,
  ): Promise<T> {
    return this.#wire.call(
      { ...call, to: "cluster", described: "the cluster", latency: LATENCY },
      act,
    );
  }
}

function refused(message: string): PolyvisorError {
  return new PolyvisorError("POLYVISOR_REFUSED", message);
}
