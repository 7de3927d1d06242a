import type { GuestDisk } from "@polyvisor/core";
import type { EventLog } from "../event-log.ts";
import type { SimulatedHost } from "../hosts/simulated-host.ts";
import type { Network } from "../network/network.ts";
import { keyOf, type VolumeDirectory } from "../storage/simulated-volume.ts";
import type { GuestRun } from "./guest-run.ts";

/** Which guests have which volumes and addresses, and whatever is wrong about that. */
export class DiskAccess {
  readonly #log: EventLog;
  readonly #network: Network;
  readonly #volumes: VolumeDirectory;
  readonly #delegated: boolean;
  /** Guests that run, by what only one of them may have. */
  readonly #holders = new Map<string, Set<GuestRun>>();
  readonly #violations: string[] = [];

  constructor(options: {
    readonly log: EventLog;
    readonly network: Network;
    readonly volumes: VolumeDirectory;
    readonly delegated: boolean;
  }) {
    this.#log = options.log;
    this.#network = options.network;
    this.#volumes = options.volumes;
    this.#delegated = options.delegated;
  }

  /** Everything that has gone wrong: two guests with one disk or one address, or two runs of one VM. */
  get violations(): readonly string[] {
    return this.#violations;
  }

  /** Why a host cannot open a disk; `undefined` when it can. */
  objection(host: SimulatedHost, disk: GuestDisk): string | undefined {
    const volume = this.#volumes.find(disk.source);
    const where = keyOf(disk.source);
    if (volume === undefined) return `disk ${disk.name}: there is no ${where}`;
    if (!this.#network.isUp(host.name, volume.storage))
      return `disk ${disk.name}: host "${host.name}" does not reach storage "${volume.storage}"`;
    if (this.#delegated) return this.#claimObjection(host, disk);
    if (volume.attached.has(host.name)) return undefined;
    return `disk ${disk.name}: ${where} is not attached to host "${host.name}"`;
  }

  #claimObjection(host: SimulatedHost, disk: GuestDisk): string | undefined {
    const volume = this.#volumes.find(disk.source);
    const { hosts, use } = volume?.state ?? {};
    if (hosts && !hosts.includes(host.name))
      return `disk ${disk.name}: host "${host.name}" does not reach its volume`;
    const elsewhere = [...(volume?.attached ?? [])].filter((name) => name !== host.name);
    if (use?.accessMode === "ReadWriteMany" || elsewhere.length === 0) return undefined;
    return `disk ${disk.name}: its volume is attached to host "${elsewhere[0]}"`;
  }

  /** True when a guest on that host has its volumes' storages in reach. */
  reachesAll(run: GuestRun): boolean {
    return run.disks.every(({ source }) => {
      const volume = this.#volumes.find(source);
      return volume !== undefined && this.#network.isUp(run.host.name, volume.storage);
    });
  }

  /** A guest has begun to run. */
  take(run: GuestRun): void {
    this.#hold(`guest ${run.spec.uid}`, run);
    for (const { address } of run.spec.interfaces) this.#hold(`address ${address}`, run);
    for (const disk of run.disks) this.takeDisk(run, disk);
  }

  takeDisk(run: GuestRun, disk: GuestDisk): void {
    if (this.#delegated) this.#bring(run.host, disk);
    this.#hold(nameOf(disk), run);
  }

  /** A cluster brings a volume to a host; a local one that has no host yet gets it. */
  #bring(host: SimulatedHost, disk: GuestDisk): void {
    const volume = this.#volumes.find(disk.source);
    if (volume === undefined) return;
    volume.attached.add(host.name);
    if (volume.local && (volume.state.hosts?.length ?? 0) !== 1)
      volume.state = { ...volume.state, hosts: [host.name] };
  }

  /** A guest has ended. */
  release(run: GuestRun): void {
    this.#let(`guest ${run.spec.uid}`, run);
    for (const { address } of run.spec.interfaces) this.#let(`address ${address}`, run);
    for (const disk of run.disks) this.releaseDisk(run, disk);
  }

  releaseDisk(run: GuestRun, disk: GuestDisk): void {
    this.#let(nameOf(disk), run);
    if (!this.#delegated) return;
    const others = [...(this.#holders.get(nameOf(disk)) ?? [])];
    if (others.some(({ host }) => host === run.host)) return;
    this.#volumes.find(disk.source)?.attached.delete(run.host.name);
  }

  /** The guests that have a volume open. */
  usersOf(key: string): GuestRun[] {
    return [
      ...(this.#holders.get(`disk ${key}`) ?? []),
      ...(this.#holders.get(`medium ${key}`) ?? []),
    ];
  }

  #hold(thing: string, run: GuestRun): void {
    const holders = this.#holders.get(thing) ?? new Set();
    this.#holders.set(thing, holders);
    if (!thing.startsWith("medium ")) {
      for (const other of holders) {
        const violation = `${thing}: ${run.title} on ${run.host.name} and ${other.title} on ${other.host.name}`;
        this.#violations.push(violation);
        this.#log.record("violation", { violation });
      }
    }
    holders.add(run);
  }

  #let(thing: string, run: GuestRun): void {
    const holders = this.#holders.get(thing);
    holders?.delete(run);
    if (holders?.size === 0) this.#holders.delete(thing);
  }
}

/** What is only read may be had by many. */
function nameOf({ source, readOnly }: GuestDisk): string {
  return `${readOnly ? "medium" : "disk"} ${keyOf(source)}`;
}
