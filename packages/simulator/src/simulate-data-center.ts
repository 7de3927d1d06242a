import { PolyvisorError } from "@polyvisor/core";
import { ClusterHypervisor } from "./cluster/cluster-hypervisor.ts";
import type { ClusterControls, DataCenter } from "./data-center.ts";
import type { DataCenterOptions } from "./data-center-options.ts";
import { EventLog } from "./event-log.ts";
import type { Fault, Happening } from "./faults/fault.ts";
import { FaultPlan } from "./faults/fault-plan.ts";
import { readFault } from "./faults/read-fault.ts";
import { SimulatedFencing } from "./fencing/simulated-fencing.ts";
import { DiskAccess } from "./guests/disk-access.ts";
import { Behaviours } from "./guests/guest-behaviour.ts";
import { guestControls } from "./guests/guest-controls.ts";
import { GuestEngine } from "./guests/guest-engine.ts";
import type { GuestRun } from "./guests/guest-run.ts";
import type { HostOptions } from "./hosts/host-options.ts";
import { SimulatedHost } from "./hosts/simulated-host.ts";
import { HostsHypervisor } from "./hypervisor/hosts-hypervisor.ts";
import { Migrations } from "./hypervisor/migrations.ts";
import { Reachability } from "./hypervisor/reachability.ts";
import { SimulatedImageStore } from "./images/simulated-image-store.ts";
import { Network } from "./network/network.ts";
import { Wire } from "./network/wire.ts";
import { SimulatedStorage } from "./storage/simulated-storage.ts";
import { VolumeDirectory } from "./storage/simulated-volume.ts";
import { Chance } from "./time/chance.ts";
import { readDuration } from "./time/duration.ts";
import { VirtualClock } from "./time/virtual-clock.ts";

/**
 * Makes a data centre in memory: hosts, guests, storages, images, networks and fences under virtual time.
 *
 * @throws `POLYVISOR_INVALID` for options that break a rule; the message names the field.
 */
export function simulateDataCenter(options: DataCenterOptions = {}): DataCenter {
  const center = new Center(options);
  center.applyFaults(options.faults ?? []);
  return center;
}

class Center implements DataCenter {
  readonly clock: VirtualClock;
  readonly log: EventLog;
  readonly parts: DataCenter["parts"];
  readonly fences: readonly SimulatedFencing[];
  readonly #network: Network;
  readonly #faults: FaultPlan;
  readonly #hosts = new Map<string, SimulatedHost>();
  readonly #storages: ReadonlyMap<string, SimulatedStorage>;
  readonly #volumes = new VolumeDirectory();
  readonly #access: DiskAccess;
  readonly #engine: GuestEngine;
  readonly #migrations: Migrations;
  readonly #reachability: Reachability;
  readonly #images: SimulatedImageStore;
  readonly #cluster: ClusterHypervisor | undefined;
  readonly #start: number;

  constructor(options: DataCenterOptions) {
    const { seed = 1, placement = "explicit" } = options;
    const delegated = placement === "delegated";
    const chance = new Chance(String(seed));
    const clock = options.clock ?? new VirtualClock();
    const log = new EventLog(clock);
    const network = new Network(log);
    const faults = new FaultPlan({ clock, chance: chance.fork("faults") });
    const wire = new Wire({ clock, log, network, faults });
    this.clock = clock;
    this.log = log;
    this.#start = clock.now();
    this.#network = network;
    this.#faults = faults;
    for (const endpoint of ["manager", "images", "cluster"]) network.addEndpoint(endpoint);
    const listener = {
      onPowerLost: (host: SimulatedHost): void => this.#losePower(host),
      onReady: (host: SimulatedHost): void => this.#hostChanged(host),
    };
    for (const host of hostOptions(options.hosts)) {
      network.addEndpoint(host.name);
      const ofHost = { clock, log, chance: chance.fork(`host ${host.name}`), listener };
      this.#hosts.set(host.name, new SimulatedHost(host, ofHost));
    }
    const volumes = this.#volumes;
    const hosts = this.#hosts;
    this.#access = new DiskAccess({ log, network, volumes, delegated });
    const access = this.#access;
    const behaviours = new Behaviours(options.guests ?? {});
    this.#engine = new GuestEngine({ clock, log, behaviours, access });
    const engine = this.#engine;
    const ofStorage = { clock, log, network, wire, access, directory: volumes, hosts, delegated };
    const storages = (options.storages ?? [{ name: "storage" }]).map((storage) => {
      network.addEndpoint(storage.name);
      return new SimulatedStorage(storage, ofStorage);
    });
    this.#storages = new Map(storages.map((storage) => [storage.name, storage]));
    this.#images = new SimulatedImageStore({ clock, log, wire });
    for (const [address, image] of Object.entries(options.images ?? {}))
      this.#images.serve(address, image);
    this.fences = (options.fences ?? [{ name: "fence" }]).map((fence) => {
      network.addEndpoint(fence.name);
      for (const host of fence.hosts ?? []) network.check(host);
      return new SimulatedFencing(fence, { clock, wire, hosts });
    });
    this.#migrations = new Migrations({ clock, engine, network });
    const migrations = this.#migrations;
    // A cluster gives its hosts more time than we do.
    const patience = delegated ? { lost: 40_000, back: 5_000 } : { lost: 5_000, back: 1_000 };
    const reachability = new Reachability({
      from: delegated ? "cluster" : "manager",
      clock,
      network,
      hosts: hosts.values(),
      patience,
    });
    this.#reachability = reachability;
    const ofHypervisor = {
      clock,
      wire,
      network,
      hosts,
      engine,
      reachability,
      migrations,
      volumes,
    };
    if (delegated) this.#cluster = new ClusterHypervisor(ofHypervisor);
    const hypervisor = this.#cluster ?? new HostsHypervisor(ofHypervisor);
    network.onChange((a, b) => this.#linkChanged(a, b));
    const backends = [{ hypervisor }, ...storages.map((storage) => ({ storage }))];
    this.parts = { backends, imageStore: this.#images, clock, random: chance.fork("platform") };
  }

  get cluster(): ClusterControls {
    const cluster = this.#cluster;
    if (cluster === undefined) {
      throw new PolyvisorError(
        "POLYVISOR_UNSUPPORTED",
        'the data centre has no cluster: make it with placement: "delegated"',
      );
    }
    const checked = (name: string): SimulatedHost => this.#found(this.#hosts, name, "host");
    return {
      cordon: (host) => cluster.setCordoned(checked(host).name, true),
      uncordon: (host) => cluster.setCordoned(checked(host).name, false),
      declareDead: (host) => cluster.declareDead(checked(host)),
    };
  }

  host(name: string): ReturnType<DataCenter["host"]> {
    const host = this.#found(this.#hosts, name, "host");
    return {
      name,
      get power() {
        return host.power;
      },
      powerOn: () => host.powerOn(),
      powerOff: () => host.powerOff(),
      reset: () => {
        host.powerOff();
        host.powerOn();
      },
      addUnknownGuest: (guest) => {
        host.unknownGuests.push(guest);
        this.#reachability.refresh(host);
      },
    };
  }

  guest(name: string): ReturnType<DataCenter["guest"]> {
    const find = (): GuestRun => this.#runningGuest(name);
    return guestControls(find, { engine: this.#engine, volumes: this.#volumes });
  }

  storage(name: string): ReturnType<DataCenter["storage"]> {
    const storage = this.#found(this.#storages, name, "storage");
    return {
      volumes: () => [...storage.volumes.keys()].sort(),
      fill: () => {
        storage.isFull = true;
        this.log.record("storage-filled", { storage: name });
      },
      free: () => {
        storage.isFull = false;
        this.log.record("storage-freed", { storage: name });
      },
      loseVolume: (volume) => {
        for (const run of storage.lose(volume)) this.#engine.checkDisks(run);
      },
    };
  }

  guests(): ReturnType<DataCenter["guests"]> {
    return [...this.#hosts.values()]
      .flatMap(({ guests }) => [...guests.values()])
      .filter(({ isActive }) => isActive)
      .toSorted((a, b) => (a.title < b.title ? -1 : 1))
      .map(({ state }) => state);
  }

  serveImage(...[address, image]: Parameters<DataCenter["serveImage"]>): void {
    this.#images.serve(address, image);
  }

  cut(...[a, b, lose]: Parameters<DataCenter["cut"]>): Disposable {
    return this.#network.cut(a, b, lose);
  }

  addFault(fault: Fault): Disposable {
    return this.#addFault(readFault(fault, "fault"), "fault");
  }

  violations(): readonly string[] {
    return this.#access.violations;
  }

  applyFaults(faults: readonly Fault[]): void {
    faults.forEach((fault, index) => {
      const field = `faults[${index}]`;
      this.#addFault(readFault(fault, field), field);
    });
  }

  #addFault(fault: Fault, field: string): Disposable {
    this.#checkNames(fault, field);
    if ("on" in fault) return this.#faults.add(fault);
    const due = this.#start + readDuration(fault.at, "at") - this.clock.now();
    const timer = this.clock.setTimer(Math.max(0, due), () => this.#happen(fault));
    return { [Symbol.dispose]: () => timer.cancel() };
  }

  #checkNames(fault: Fault, field: string): void {
    try {
      if ("on" in fault) {
        if (fault.host !== undefined) this.#found(this.#hosts, fault.host, "host");
        if (fault.storage !== undefined) this.#found(this.#storages, fault.storage, "storage");
      } else if ("cut" in fault) fault.cut.between.forEach((end) => this.#network.check(end));
      else if ("fill" in fault) this.storage(fault.fill);
      else if ("powerOff" in fault) this.host(fault.powerOff);
      else if ("powerOn" in fault) this.host(fault.powerOn);
      else if ("reset" in fault) this.host(fault.reset);
    } catch (error) {
      const message = `${field}: ${error instanceof Error ? error.message : String(error)}`;
      throw new PolyvisorError("POLYVISOR_INVALID", message, { cause: error });
    }
  }

  #happen(fault: Happening): void {
    const undo = this.#do(fault);
    if (fault.for !== undefined && undo) this.clock.setTimer(readDuration(fault.for, "for"), undo);
  }

  /** Gives back what undoes it. A guest that does not run at that moment is left out. */
  #do(fault: Happening): (() => void) | undefined {
    if ("cut" in fault) {
      const { between, lose } = fault.cut;
      const cut = this.#network.cut(...between, lose);
      return () => cut[Symbol.dispose]();
    }
    if ("powerOff" in fault) {
      this.host(fault.powerOff).powerOff();
      return () => this.host(fault.powerOff).powerOn();
    }
    if ("powerOn" in fault) this.host(fault.powerOn).powerOn();
    else if ("reset" in fault) this.host(fault.reset).reset();
    else if ("fill" in fault) {
      this.storage(fault.fill).fill();
      return () => this.storage(fault.fill).free();
    } else return this.#doToGuest(fault);
    return undefined;
  }

  #doToGuest(
    fault: Extract<
      Happening,
      | { crash: string }
      | { shutDown: string }
      | { reboot: string }
      | { hang: string }
      | { breakAgent: string }
    >,
  ): (() => void) | undefined {
    const engine = this.#engine;
    const on = (name: string, act: (run: GuestRun) => void): void => {
      const run = this.#findGuest(name);
      if (run) act(run);
    };
    if ("crash" in fault) on(fault.crash, (run) => engine.end(run, "crashed"));
    else if ("shutDown" in fault) on(fault.shutDown, (run) => engine.leave(run, "guest-shutdown"));
    else if ("reboot" in fault) on(fault.reboot, (run) => engine.leave(run, "guest-reset"));
    else if ("hang" in fault) {
      on(fault.hang, (run) => engine.hang(run));
      return () => on(fault.hang, (run) => engine.recover(run));
    } else {
      on(fault.breakAgent, (run) => engine.setAgent(run, false));
      return () => on(fault.breakAgent, (run) => engine.setAgent(run, true));
    }
    return undefined;
  }

  #losePower(host: SimulatedHost): void {
    for (const run of host.guests.values()) this.#engine.end(run, "unknown");
    this.#hostChanged(host);
  }

  #hostChanged(host: SimulatedHost): void {
    this.#reachability.check(host);
    this.#migrations.checkAll();
  }

  #linkChanged(a: string, b: string): void {
    for (const name of [a, b]) {
      const host = this.#hosts.get(name);
      if (host === undefined) continue;
      this.#reachability.check(host);
      for (const run of host.guests.values()) this.#engine.checkDisks(run);
    }
    this.#migrations.checkAll();
  }

  #findGuest(name: string): GuestRun | undefined {
    const title = name.includes("/") ? name : `default/${name}`;
    for (const { guests } of this.#hosts.values()) {
      for (const run of guests.values()) if (run.isActive && run.title === title) return run;
    }
    return undefined;
  }

  #runningGuest(name: string): GuestRun {
    const run = this.#findGuest(name);
    if (run) return run;
    throw new PolyvisorError("POLYVISOR_NOT_FOUND", `guest ${JSON.stringify(name)} does not run`);
  }

  #found<T>(things: ReadonlyMap<string, T>, name: string, what: string): T {
    const found = things.get(name);
    if (found !== undefined) return found;
    const known = [...things.keys()].join(", ") || "none";
    throw new PolyvisorError(
      "POLYVISOR_NOT_FOUND",
      `there is no ${what} ${JSON.stringify(name)}: there are ${known}`,
    );
  }
}

function hostOptions(hosts: DataCenterOptions["hosts"] = 3): readonly HostOptions[] {
  if (typeof hosts !== "number") return hosts;
  return Array.from({ length: hosts }, (_, index) => ({ name: `node-${index + 1}` }));
}
