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
  isPolyvisorError,
  type LiveMigration,
  type MigrationRequest,
  type Placement,
  PolyvisorError,
  type StopMode,
} from "@polyvisor/core";
import type { Verb } from "../faults/fault.ts";
import type { GuestEngine } from "../guests/guest-engine.ts";
import type { GuestRun } from "../guests/guest-run.ts";
import type { SimulatedHost } from "../hosts/simulated-host.ts";
import type { Wire } from "../network/wire.ts";
import type { VolumeDirectory } from "../storage/simulated-volume.ts";
import { pause } from "../time/pause.ts";
import { allCapabilities } from "./capabilities.ts";
import { EventChannels } from "./event-channels.ts";
import { checkNotCancelled, type GuestCalls, runningGuest } from "./guest-calls.ts";
import type { Migrations } from "./migrations.ts";
import type { Reachability } from "./reachability.ts";
import { simulatedAgent } from "./simulated-agent.ts";
import { noConsole, simulatedConsoles } from "./simulated-consoles.ts";
import { simulatedHotplug } from "./simulated-hotplug.ts";

/** Milliseconds each way. */
const LATENCY = 1;
const STEP = 50;

/** Hosts that each answer for themselves: whoever starts a guest names the host, as with libvirt. */
export class HostsHypervisor implements Hypervisor, GuestCalls {
  readonly name: string = "simulator";
  readonly capabilities: HypervisorCapabilities = allCapabilities("explicit");
  readonly consoles: Consoles;
  readonly hotplug: Hotplug;
  readonly agent: GuestAgent;
  readonly migration: LiveMigration;
  readonly #clock: Clock;
  readonly #wire: Wire;
  readonly #hosts: ReadonlyMap<string, SimulatedHost>;
  readonly #engine: GuestEngine;
  readonly #reachability: Reachability;
  readonly #migrations: Migrations;
  readonly #channels = new EventChannels();

  constructor(options: {
    readonly clock: Clock;
    readonly wire: Wire;
    readonly hosts: ReadonlyMap<string, SimulatedHost>;
    readonly engine: GuestEngine;
    readonly reachability: Reachability;
    readonly migrations: Migrations;
    readonly volumes: VolumeDirectory;
  }) {
    this.#clock = options.clock;
    this.#wire = options.wire;
    this.#hosts = options.hosts;
    this.#engine = options.engine;
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
    engine.listen({
      onChange: (run) => {
        if (this.#isHeard(run.host)) this.#channels.send({ type: "guest", guest: run.state });
      },
      onForgotten: ({ spec, host }) => {
        if (this.#isHeard(host))
          this.#channels.send({ type: "guest-removed", uid: spec.uid, host: host.name });
      },
    });
    this.#reachability.onChange((host) => this.#channels.send({ type: "host", host: host.name }));
  }

  async open(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
  }

  async hosts(signal: AbortSignal): Promise<readonly HostState[]> {
    signal.throwIfAborted();
    await pause(this.#clock, 2 * LATENCY, signal);
    return [...this.#hosts.values()].map((host) => host.describe(this.#reachability.isSeen(host)));
  }

  async guests(signal: AbortSignal): Promise<GuestList> {
    const answers = await Promise.all(
      [...this.#hosts.values()]
        .filter((host) => this.#reachability.isSeen(host))
        .map(async (host) =>
          this.#on(host.name, "guests", signal, () => ({
            host: host.name,
            guests: Array.from(host.guests.values(), ({ state }) => state),
          })).catch((error: unknown) => {
            signal.throwIfAborted();
            if (isPolyvisorError(error)) return undefined;
            throw error;
          }),
        ),
    );
    const answered = answers.filter((answer) => answer !== undefined);
    return {
      guests: answered.flatMap(({ guests }) => guests),
      hosts: answered.map(({ host }) => host),
    };
  }

  watch(signal: AbortSignal): AsyncIterable<HypervisorEvent> {
    return this.#channels.open(signal);
  }

  async startGuest(spec: GuestSpec, place: Placement, signal: AbortSignal): Promise<GuestState> {
    if (!("host" in place))
      throw new PolyvisorError(
        "POLYVISOR_REFUSED",
        "these hosts are chosen by whoever starts a guest",
      );
    const guest = `${spec.namespace}/${spec.name}`;
    return this.#on(place.host, "startGuest", signal, (host) => this.#start(spec, host), guest);
  }

  async #start(spec: GuestSpec, host: SimulatedHost): Promise<GuestState> {
    const known = host.guests.get(spec.uid);
    if (known?.spec.incarnation !== spec.incarnation) {
      checkStart(spec, host, known);
      this.#engine.start(spec, host);
    }
    const run = host.guests.get(spec.uid);
    while (run?.power === "starting") await pause(this.#clock, STEP);
    if (run) return run.state;
    throw new PolyvisorError("POLYVISOR_REFUSED", "the guest was removed while it was started");
  }

  async stopGuest(
    ref: GuestRef,
    { host }: GuestLocation,
    mode: StopMode,
    signal: AbortSignal,
  ): Promise<void> {
    await this.#on(host, "stopGuest", signal, ({ guests }) => {
      const run = guests.get(ref.uid);
      if (run?.spec.incarnation !== ref.incarnation) return;
      if (mode === "shutdown") this.#engine.askToShutDown(run);
      else this.#engine.end(run, "stopped");
    });
  }

  async removeGuest(uid: string, { host }: GuestLocation, signal: AbortSignal): Promise<void> {
    await this.#on(host, "removeGuest", signal, ({ guests }) => {
      const run = guests.get(uid);
      if (run?.isActive) throw new PolyvisorError("POLYVISOR_REFUSED", "the guest still runs");
      if (run) this.#engine.forget(run);
    });
  }

  async onGuest<T>(
    call: { readonly verb: Verb; readonly ref: GuestRef; readonly host?: string | undefined },
    signal: AbortSignal | undefined,
    act: (run: GuestRun) => T | Promise<T>,
  ): Promise<T> {
    const { verb, ref } = call;
    if (call.host !== undefined) {
      return this.#on(call.host, verb, signal, ({ guests, name }) =>
        act(runningGuest(guests.get(ref.uid), ref, `on host "${name}"`)),
      );
    }
    const host = [...this.#hosts.values()].find(
      (each) => this.#reachability.isSeen(each) && each.guests.get(ref.uid)?.isActive,
    );
    if (host?.guests.get(ref.uid)?.spec.incarnation !== ref.incarnation) throw noConsole(ref);
    return this.#on(host.name, verb, signal, ({ guests }) => {
      const run = guests.get(ref.uid);
      if (run?.isActive !== true) throw noConsole(ref);
      return act(run);
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#channels.end();
  }

  async #migrate(ref: GuestRef, request: MigrationRequest, signal: AbortSignal): Promise<void> {
    const { id, source, target: place, disks, autoConverge, bandwidthBytesPerSecond } = request;
    await this.onGuest({ verb: "migrate", ref, host: source }, signal, (run) => {
      if (run.migration?.id === id) return;
      checkNotCancelled(run, id);
      const target = "host" in place ? this.#hosts.get(place.host) : undefined;
      const objection = target
        ? this.#migrations.objection(run, target, disks)
        : "the target host must be named and exist";
      if (target === undefined || objection !== undefined)
        throw new PolyvisorError("POLYVISOR_REFUSED", objection ?? "");
      const limit = bandwidthBytesPerSecond === undefined ? {} : { bandwidthBytesPerSecond };
      this.#migrations.begin(run, { id, target, disks, autoConverge, ...limit });
    });
  }

  async #cancelMigration(ref: GuestRef, id: string, signal: AbortSignal): Promise<void> {
    const source = [...this.#hosts.values()].find(({ guests }) => guests.has(ref.uid));
    if (source === undefined) return;
    await this.#on(source.name, "cancelMigration", signal, ({ guests }) => {
      const run = guests.get(ref.uid);
      if (run?.spec.incarnation === ref.incarnation) this.#migrations.cancel(run, id);
    });
  }

  /** True when what happens on a host is told. */
  #isHeard(host: SimulatedHost): boolean {
    return this.#reachability.isSeen(host) && this.#reachability.isUp(host);
  }

  /** Brings a call to a host. */
  #on<T>(
    name: string | undefined,
    verb: Verb,
    signal: AbortSignal | undefined,
    act: (host: SimulatedHost) => T | Promise<T>,
    guest?: string,
  ): Promise<T> {
    const host = this.#hosts.get(name ?? "");
    if (host === undefined) {
      const message = `there is no host ${JSON.stringify(name)}`;
      return Promise.reject(new PolyvisorError("POLYVISOR_UNAVAILABLE", message));
    }
    const described = `host "${host.name}"`;
    const isUp = (): boolean => host.isReady;
    return this.#wire.call(
      { verb, host: host.name, guest, to: host.name, described, isUp, latency: LATENCY, signal },
      () => act(host),
    );
  }
}

/** @throws `POLYVISOR_REFUSED` when a host has what stands in the way of a guest. */
function checkStart(spec: GuestSpec, host: SimulatedHost, known: GuestRun | undefined): void {
  if (known && known.spec.incarnation > spec.incarnation)
    throw new PolyvisorError(
      "POLYVISOR_REFUSED",
      `incarnation ${known.spec.incarnation} of the guest was on host "${host.name}" already`,
    );
  if (known?.isActive)
    throw new PolyvisorError(
      "POLYVISOR_REFUSED",
      `incarnation ${known.spec.incarnation} of the guest still runs on host "${host.name}"`,
    );
  const title = `${spec.namespace}/${spec.name}`;
  for (const other of host.guests.values()) {
    if (other.title === title && other.spec.uid !== spec.uid)
      throw new PolyvisorError("POLYVISOR_REFUSED", `another guest has the name ${title}`);
  }
  if (host.unknownGuests.includes(spec.name))
    throw new PolyvisorError(
      "POLYVISOR_REFUSED",
      `a guest that is not ours has the name ${spec.name}`,
    );
}
