import type { Clock, GuestSpec, HostState, Timer } from "@polyvisor/core";
import type { EventLog } from "../event-log.ts";
import type { GuestRun } from "../guests/guest-run.ts";
import type { Chance } from "../time/chance.ts";
import { readDuration } from "../time/duration.ts";
import { type HostOptions, USUAL_CPU } from "./host-options.ts";

/** Told when a host has lost its power, or is ready to run guests. */
export interface HostListener {
  onPowerLost(host: SimulatedHost): void;
  onReady(host: SimulatedHost): void;
}

/** A host: power, capacity, and the guests that its hypervisor knows. */
export class SimulatedHost {
  readonly name: string;
  readonly options: HostOptions;
  readonly cpus: number;
  readonly memoryBytes: number;
  readonly labels: Readonly<Record<string, string>>;
  readonly cpu: Required<NonNullable<HostOptions["cpu"]>>;
  /** By uid. */
  readonly guests: Map<string, GuestRun> = new Map();
  readonly unknownGuests: string[] = [];
  /** Guests that are on their way here, with their memory. */
  readonly expected: Map<string, number> = new Map();
  power: "off" | "booting" | "on";
  bootId: string;
  /** Memory of the guests that run, in bytes. */
  usedBytes = 0;
  readonly #clock: Clock;
  readonly #log: EventLog;
  readonly #chance: Chance;
  readonly #listener: HostListener;
  readonly #bootTime: number;
  #booting: Timer | undefined;

  constructor(
    options: HostOptions,
    context: {
      readonly clock: Clock;
      readonly log: EventLog;
      readonly chance: Chance;
      readonly listener: HostListener;
    },
  ) {
    this.options = options;
    this.name = options.name;
    this.cpus = options.cpus ?? 16;
    this.memoryBytes = options.memoryBytes ?? 64 * 2 ** 30;
    this.labels = options.labels ?? {};
    const model = options.cpu?.model;
    this.cpu = {
      ...USUAL_CPU,
      ...(model !== undefined && { models: [model] }),
      ...options.cpu,
    };
    this.#clock = context.clock;
    this.#log = context.log;
    this.#chance = context.chance;
    this.#listener = context.listener;
    this.#bootTime = readDuration(options.boot ?? "60s", `host ${options.name}: boot`);
    this.power = options.on === false ? "off" : "on";
    this.bootId = this.#nextBootId();
  }

  /** True when its hypervisor answers, given that the network lets it. */
  get isReady(): boolean {
    return this.power === "on";
  }

  /** Memory that no guest has and none is on its way for, in bytes. */
  get freeBytes(): number {
    let expected = 0;
    for (const bytes of this.expected.values()) expected += bytes;
    return this.memoryBytes - this.usedBytes - expected;
  }

  /** Does nothing when it has power. */
  powerOn(): void {
    if (this.power !== "off") return;
    this.power = "booting";
    this.#log.record("host-on", { host: this.name });
    this.#booting = this.#clock.setTimer(this.#bootTime, () => {
      this.power = "on";
      this.bootId = this.#nextBootId();
      this.#log.record("host-ready", { host: this.name, bootId: this.bootId });
      this.#listener.onReady(this);
    });
  }

  /** Takes the power away at once. Does nothing when it has none. */
  powerOff(): void {
    if (this.power === "off") return;
    this.power = "off";
    this.#booting?.cancel();
    this.#log.record("host-off", { host: this.name });
    this.#listener.onPowerLost(this);
  }

  /** What keeps a guest from running here; `undefined` when nothing does. */
  objection(spec: GuestSpec): string | undefined {
    const { cpu, memoryBytes } = spec;
    if (memoryBytes > this.freeBytes)
      return `host "${this.name}" has ${this.freeBytes} bytes of memory left, and the guest needs ${memoryBytes}`;
    if (cpu.model.mode === "model" && !this.cpu.models.includes(cpu.model.model))
      return `host "${this.name}" cannot give a guest the CPU ${cpu.model.model}`;
    if (cpu.model.mode !== "features") return undefined;
    const lacking = cpu.model.features.filter((feature) => !this.cpu.features.includes(feature));
    if (lacking.length === 0) return undefined;
    return `the CPU of host "${this.name}" does not have ${lacking.join(", ")}`;
  }

  describe(reachable: boolean): HostState {
    const { vendor, model, models, features } = this.cpu;
    return {
      name: this.name,
      reachable,
      ...(!reachable && { message: `host "${this.name}" does not answer` }),
      bootId: this.bootId,
      hypervisor: "simulator",
      hypervisorVersion: "1.0.0",
      cpus: this.cpus,
      memoryBytes: this.memoryBytes,
      labels: this.labels,
      cpu: { vendor, model, models, features },
      unknownGuests: [...this.unknownGuests],
    };
  }

  #nextBootId(): string {
    const hex = Buffer.from(this.#chance.bytes(16)).toString("hex");
    return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
  }
}
