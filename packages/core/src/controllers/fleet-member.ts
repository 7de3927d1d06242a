import type { GuestList, GuestState, HostState, Hypervisor } from "../backend/hypervisor.ts";
import { type Clock, sleep } from "../util/clock.ts";
import { messageOf } from "../util/errors.ts";
import { jsonEquals } from "../util/json.ts";
import type { Logger } from "../util/logger.ts";
import { backoffDelay } from "./runtime/work-queue.ts";

/** Told when what is known of a hypervisor has changed. */
export interface FleetListener {
  onGuest(uid: string): void;
  onHosts(): void;
}

interface KnownGuest {
  readonly guest: GuestState;
  /** When it was learned, in the member's own order of events. */
  readonly learned: number;
}

/** What is known of the hosts and guests of one hypervisor, kept up to date by its events. */
export class FleetMember {
  readonly hypervisor: Hypervisor;
  readonly #listener: FleetListener;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #guests = new Map<string, KnownGuest>();
  /** When a guest was learned to be gone; kept until a list that began later has come in. */
  readonly #removed = new Map<string, number>();
  #hosts: readonly HostState[] = [];
  /** Hosts whose guests have been listed since they last failed to answer. */
  #answering: ReadonlySet<string> = new Set();
  /** True when a guest that was not listed exists on no host. */
  #complete = false;
  #sequence = 0;
  /** Ends the present round of following: a list has failed, and another one must be had. */
  #round: AbortController | undefined;
  #listing: Promise<void> | undefined;
  #listAgain = false;

  constructor(
    hypervisor: Hypervisor,
    options: { readonly listener: FleetListener; readonly clock: Clock; readonly logger: Logger },
  ) {
    this.hypervisor = hypervisor;
    this.#listener = options.listener;
    this.#clock = options.clock;
    this.#logger = options.logger;
  }

  get hosts(): readonly HostState[] {
    return this.#hosts;
  }

  *guests(): Generator<GuestState> {
    for (const { guest } of this.#guests.values()) yield guest;
  }

  guest(uid: string): GuestState | undefined {
    return this.#guests.get(uid)?.guest;
  }

  /** True when the host has answered and what is not known there is not there; without a host, when that holds of all. */
  isAnswering(host: string | undefined): boolean {
    return host === undefined ? this.#complete : this.#complete || this.#answering.has(host);
  }

  /** Takes note of what a verb of the hypervisor has returned. */
  learn(guest: GuestState): void {
    const known = this.#guests.get(guest.uid)?.guest;
    // An event of an earlier run may come after the answer to a start.
    if (known && known.host === guest.host && known.incarnation > guest.incarnation) return;
    this.#sequence += 1;
    this.#removed.delete(guest.uid);
    this.#guests.set(guest.uid, { guest, learned: this.#sequence });
  }

  /** Takes note that a host has forgotten a guest. */
  learnRemoval(uid: string, host: string): void {
    this.#sequence += 1;
    const known = this.#guests.get(uid);
    // The guest may have been started on another host since.
    if (known !== undefined && known.guest.host !== host) return;
    this.#guests.delete(uid);
    this.#removed.set(uid, this.#sequence);
  }

  /** Lists hosts and guests, then follows the events; begins anew after a pause when that ends. */
  async follow(signal: AbortSignal): Promise<void> {
    let failures = 0;
    while (!signal.aborted) {
      const round = new AbortController();
      this.#round = round;
      try {
        const events = this.hypervisor.watch(AbortSignal.any([signal, round.signal]));
        await this.refresh(signal);
        failures = 0;
        for await (const event of events) {
          switch (event.type) {
            case "guest":
              this.learn(event.guest);
              this.#listener.onGuest(event.guest.uid);
              break;
            // It may have been started anew since, so that the host is asked.
            case "guest-removed":
            case "host":
            case "resync":
              // Not awaited: the events that come meanwhile must be read. A failure shows in the next round.
              void this.refresh(signal).catch(() => {});
              break;
          }
        }
      } catch (error) {
        this.#report(error, signal);
      }
      round.abort();
      failures += 1;
      await sleep(this.#clock, backoffDelay(failures), signal).catch(() => {});
    }
  }

  /** Lists hosts and guests. Calls that come while a list is under way share the one that follows it. */
  refresh(signal: AbortSignal): Promise<void> {
    if (this.#listing) {
      this.#listAgain = true;
      return this.#listing;
    }
    this.#listing = this.#refreshUntilQuiet(signal).finally(() => {
      this.#listing = undefined;
    });
    return this.#listing;
  }

  async #refreshUntilQuiet(signal: AbortSignal): Promise<void> {
    do {
      this.#listAgain = false;
      await this.#list(signal);
    } while (this.#listAgain && !signal.aborted);
  }

  async #list(signal: AbortSignal): Promise<void> {
    const began = this.#sequence;
    const before = [this.#hosts, [...this.#answering], this.#complete];
    const [states, { guests, hosts, complete = false }] = await this.#ask(signal);
    this.#hosts = states;
    this.#answering = new Set(hosts);
    this.#complete = complete;
    const hostsChanged = !jsonEquals(before, [this.#hosts, [...this.#answering], this.#complete]);
    const changed = new Set<string>();
    const listed = new Set<string>();
    // A list says how things were when it was made: what was learned since it began is newer and stands.
    const isNewer = (learned: number | undefined): boolean =>
      learned !== undefined && learned > began;
    for (const guest of guests) {
      listed.add(guest.uid);
      const known = this.#guests.get(guest.uid);
      if (isNewer(known?.learned) || isNewer(this.#removed.get(guest.uid))) continue;
      this.#guests.set(guest.uid, { guest, learned: began });
      if (!jsonEquals(known?.guest, guest)) changed.add(guest.uid);
    }
    for (const [uid, { guest, learned }] of this.#guests) {
      if (listed.has(uid) || isNewer(learned) || !this.isAnswering(guest.host)) continue;
      this.#guests.delete(uid);
      changed.add(uid);
    }
    for (const [uid, learned] of this.#removed) if (!isNewer(learned)) this.#removed.delete(uid);
    // Only what has changed is told: whoever is told may ask for a list again.
    if (hostsChanged) for (const { guest } of this.#guests.values()) changed.add(guest.uid);
    if (hostsChanged || changed.size > 0) this.#listener.onHosts();
    for (const uid of changed) this.#listener.onGuest(uid);
  }

  /** A hypervisor that does not answer says nothing of any host. */
  async #ask(signal: AbortSignal): Promise<[readonly HostState[], GuestList]> {
    try {
      return [await this.hypervisor.hosts(signal), await this.hypervisor.guests(signal)];
    } catch (error) {
      const wasAnswering = this.#complete || this.#answering.size > 0;
      this.#answering = new Set();
      this.#complete = false;
      this.#report(error, signal);
      if (wasAnswering) this.#listener.onHosts();
      this.#round?.abort();
      throw error;
    }
  }

  #report(error: unknown, signal: AbortSignal): void {
    if (signal.aborted) return;
    const fields = { hypervisor: this.hypervisor.name, error: messageOf(error) };
    this.#logger.warn(fields, "cannot follow the hypervisor");
  }
}
