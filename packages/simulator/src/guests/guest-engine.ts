import { type Clock, type GuestSpec, PolyvisorError, type StopReason } from "@polyvisor/core";
import type { EventLog } from "../event-log.ts";
import type { SimulatedHost } from "../hosts/simulated-host.ts";
import type { Behaviours } from "./guest-behaviour.ts";
import { GuestConsole } from "./guest-console.ts";
import type { DiskAccess } from "./disk-access.ts";
import { GuestRun } from "./guest-run.ts";

/** Milliseconds from the order to start a guest until it runs. */
const START_TIME = 500;

/** Told of whatever changes about guests. */
export interface GuestListener {
  onChange(run: GuestRun): void;
  onForgotten(run: GuestRun): void;
}

/** Runs guests on hosts: what a host's own software and the systems inside do. */
export class GuestEngine {
  readonly #clock: Clock;
  readonly #log: EventLog;
  readonly #behaviours: Behaviours;
  readonly access: DiskAccess;
  readonly #listeners: GuestListener[] = [];

  constructor(options: {
    readonly clock: Clock;
    readonly log: EventLog;
    readonly behaviours: Behaviours;
    readonly access: DiskAccess;
  }) {
    this.#clock = options.clock;
    this.#log = options.log;
    this.#behaviours = options.behaviours;
    this.access = options.access;
  }

  listen(listener: GuestListener): void {
    this.#listeners.push(listener);
  }

  /**
   * Begins to start a guest; it is `starting` first.
   *
   * @throws `POLYVISOR_REFUSED` when the host cannot run it.
   */
  start(spec: GuestSpec, host: SimulatedHost): GuestRun {
    const objection =
      host.objection(spec) ??
      spec.disks.map((disk) => this.access.objection(host, disk)).find(Boolean);
    if (objection !== undefined) throw new PolyvisorError("POLYVISOR_REFUSED", objection);
    const title = `${spec.namespace}/${spec.name}`;
    const run = new GuestRun(spec, host, this.#behaviours.of(title));
    host.guests.set(spec.uid, run);
    host.usedBytes += spec.memoryBytes;
    this.access.take(run);
    this.record("guest-started", run);
    run.timer = this.#clock.setTimer(START_TIME, () => this.#run(run));
    return run;
  }

  #run(run: GuestRun): void {
    run.power = "running";
    run.timer = this.#clock.setTimer(run.behaviour.boot, () => this.#booted(run));
    this.record("guest-running", run);
    this.changed(run);
  }

  #booted(run: GuestRun): void {
    run.timer = undefined;
    run.system = "up";
    run.agentAnswers = run.behaviour.agent === "works" || run.behaviour.agent === "cannot-freeze";
    this.record("guest-booted", run);
    this.print(run, `\r\n${run.spec.name} login: `);
    this.changed(run);
  }

  /** Asks the operating system to shut down. */
  askToShutDown(run: GuestRun): void {
    if (!run.isActive || run.power === "stopping") return;
    this.record("guest-asked-to-shut-down", run);
    if (run.behaviour.ignoresShutDown || run.system === "hung" || run.power === "paused") return;
    run.power = "stopping";
    this.changed(run);
    this.#leave(run, "guest-shutdown");
  }

  /** The guest shuts down or reboots of its own accord. */
  leave(run: GuestRun, reason: "guest-shutdown" | "guest-reset"): void {
    if (!run.isActive || run.system === "hung") return;
    this.record(reason === "guest-reset" ? "guest-reboots" : "guest-shuts-down", run);
    this.#leave(run, reason);
  }

  #leave(run: GuestRun, reason: StopReason): void {
    run.timer?.cancel();
    run.system = "down";
    this.#setAgent(run, false);
    this.print(run, "\r\nReached target Power-Off.\r\n");
    run.timer = this.#clock.setTimer(run.behaviour.shutDown, () => this.end(run, reason));
  }

  /** The system inside stops doing anything, its agent too. */
  hang(run: GuestRun): void {
    if (!run.isActive) return;
    run.timer?.cancel();
    run.system = "hung";
    this.record("guest-hangs", run);
    this.#setAgent(run, false);
    this.changed(run);
  }

  /** Undoes {@link hang}. */
  recover(run: GuestRun): void {
    if (!run.isActive || run.system !== "hung") return;
    this.record("guest-recovers", run);
    this.#booted(run);
  }

  /** Stops or starts the agent inside. */
  setAgent(run: GuestRun, answers: boolean): void {
    if (!run.isActive || run.agentAnswers === answers) return;
    this.record(answers ? "agent-started" : "agent-stopped", run);
    this.#setAgent(run, answers);
    this.changed(run);
  }

  #setAgent(run: GuestRun, answers: boolean): void {
    run.agentAnswers = answers;
  }

  /** Holds a guest's file systems at rest, for `milliseconds` at most. */
  freeze(run: GuestRun, milliseconds: number): void {
    run.thawTimer?.cancel();
    if (!run.frozen) this.record("guest-frozen", run);
    run.frozen = true;
    run.thawTimer = this.#clock.setTimer(milliseconds, () => this.thaw(run));
    this.changed(run);
  }

  thaw(run: GuestRun): void {
    run.thawTimer?.cancel();
    run.thawTimer = undefined;
    if (!run.frozen) return;
    run.frozen = false;
    this.record("guest-thawed", run);
    this.changed(run);
  }

  /** Holds a guest that cannot reach its disks, and lets it go on. */
  checkDisks(run: GuestRun): void {
    if (run.power !== "running" && run.power !== "paused") return;
    const paused = !this.access.reachesAll(run);
    if (paused === (run.power === "paused")) return;
    run.power = paused ? "paused" : "running";
    this.record(paused ? "guest-paused" : "guest-resumed", run);
    this.changed(run);
  }

  /** Ends a guest at once. */
  end(run: GuestRun, reason: StopReason): void {
    if (!run.isActive) return;
    this.#clear(run);
    run.power = "stopped";
    run.stopReason = reason;
    this.record("guest-ended", run, { reason });
    this.changed(run);
  }

  #clear(run: GuestRun): void {
    run.timer?.cancel();
    run.thawTimer?.cancel();
    run.timer = undefined;
    run.thawTimer = undefined;
    run.frozen = false;
    run.agentAnswers = false;
    run.system = "down";
    run.host.usedBytes -= run.spec.memoryBytes;
    this.access.release(run);
    for (const console of run.consoles ?? []) console.end();
    run.consoles = undefined;
  }

  /** Lets a host forget a guest that has ended. */
  forget(run: GuestRun): void {
    if (run.host.guests.get(run.spec.uid) !== run) return;
    run.host.guests.delete(run.spec.uid);
    this.record("guest-forgotten", run);
    for (const listener of this.#listeners) listener.onForgotten(run);
  }

  /** A running guest goes on at another host. */
  move(run: GuestRun, target: SimulatedHost): void {
    this.access.release(run);
    run.host.usedBytes -= run.spec.memoryBytes;
    run.host.guests.delete(run.spec.uid);
    run.host = target;
    target.guests.set(run.spec.uid, run);
    target.usedBytes += run.spec.memoryBytes;
    this.access.take(run);
    for (const console of run.consoles ?? []) console.end();
    run.consoles = undefined;
  }

  openConsole(run: GuestRun): GuestConsole {
    for (const other of run.consoles ?? []) other.end();
    const console = new GuestConsole(
      (bytes) => this.#type(run, Buffer.from(bytes).toString()),
      () => run.consoles?.delete(console),
    );
    run.consoles = new Set([console]);
    return console;
  }

  #type(run: GuestRun, text: string): void {
    if (run.system !== "up") return;
    const isEnter = text.includes("\r") || text.includes("\n");
    this.print(run, isEnter ? `\r\n${run.spec.name} login: ` : text);
  }

  print(run: GuestRun, text: string): void {
    for (const console of run.consoles ?? []) console.print(text);
  }

  changed(run: GuestRun): void {
    run.touch();
    for (const listener of this.#listeners) listener.onChange(run);
  }

  record(event: string, run: GuestRun, fields: Readonly<Record<string, unknown>> = {}): void {
    const { title: guest, host } = run;
    this.#log.record(event, {
      guest,
      host: host.name,
      incarnation: run.spec.incarnation,
      ...fields,
    });
  }
}
