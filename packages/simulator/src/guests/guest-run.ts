import type {
  GuestDisk,
  GuestSpec,
  GuestState,
  MigrationState,
  StopReason,
  Timer,
} from "@polyvisor/core";
import type { SimulatedHost } from "../hosts/simulated-host.ts";
import type { KnownBehaviour } from "./guest-behaviour.ts";
import type { GuestConsole } from "./guest-console.ts";

/** One run of a guest, from its start on; it stays known after its end until it is forgotten. */
export class GuestRun {
  readonly spec: GuestSpec;
  /** `namespace/name`. */
  readonly title: string;
  host: SimulatedHost;
  behaviour: KnownBehaviour;
  power: "starting" | "running" | "paused" | "stopping" | "stopped" = "starting";
  stopReason: StopReason | undefined;
  /** What the operating system is doing. */
  system: "booting" | "up" | "hung" | "down" = "booting";
  agentAnswers = false;
  frozen = false;
  disks: readonly GuestDisk[];
  migration: MigrationState | undefined;
  /** Ids of migrations that were cancelled before they had begun. */
  cancelledMigrations: Set<string> | undefined;
  /** Of booting, shutting down or rebooting. */
  timer: Timer | undefined;
  thawTimer: Timer | undefined;
  /** Those that are open. */
  consoles: Set<GuestConsole> | undefined;
  #state: GuestState | undefined;

  constructor(spec: GuestSpec, host: SimulatedHost, behaviour: KnownBehaviour) {
    this.spec = spec;
    this.title = `${spec.namespace}/${spec.name}`;
    this.host = host;
    this.behaviour = behaviour;
    this.disks = spec.disks;
  }

  /** True until it has ended. */
  get isActive(): boolean {
    return this.power !== "stopped";
  }

  /** As its host sees it. */
  get state(): GuestState {
    this.#state ??= this.#describe();
    return this.#state;
  }

  /** Must be called after every change. */
  touch(): void {
    this.#state = undefined;
  }

  #describe(): GuestState {
    const { uid, incarnation, namespace, name } = this.spec;
    return {
      uid,
      incarnation,
      namespace,
      name,
      host: this.host.name,
      power: this.power,
      ...(this.stopReason && { stopReason: this.stopReason }),
      disks: this.disks.map((disk) => disk.name),
      ...(this.migration && { migration: this.migration }),
      agentConnected: this.agentAnswers,
      ...(this.frozen && { frozen: true }),
    };
  }
}
