import type { GuestRecord } from "../api/virtual-machine-status.ts";
import type { GuestState, HostState, Hypervisor } from "../backend/hypervisor.ts";
import type { GuestObservation } from "../machine/guest-record.ts";
import type { Clock } from "../util/clock.ts";
import { PolyvisorError } from "../util/errors.ts";
import type { Logger } from "../util/logger.ts";
import { type FleetListener, FleetMember } from "./fleet-member.ts";

/** All hosts of all hypervisors. */
export class Fleet {
  readonly #members: readonly FleetMember[];
  readonly #guestListeners: ((uid: string) => void)[] = [];
  readonly #hostListeners: (() => void)[] = [];

  constructor(
    hypervisors: readonly Hypervisor[],
    options: { readonly clock: Clock; readonly logger: Logger },
  ) {
    const listener: FleetListener = {
      onGuest: (uid) => this.#guestListeners.forEach((notify) => notify(uid)),
      onHosts: () => this.#hostListeners.forEach((notify) => notify()),
    };
    this.#members = hypervisors.map(
      (hypervisor) => new FleetMember(hypervisor, { listener, ...options }),
    );
  }

  /** Calls `notify` with the uid of a guest of which something new is known. */
  onGuest(notify: (uid: string) => void): void {
    this.#guestListeners.push(notify);
  }

  /** Calls `notify` when hosts have come, gone or changed. */
  onHosts(notify: () => void): void {
    this.#hostListeners.push(notify);
  }

  /** Every host. */
  hosts(): HostState[] {
    return this.#members.flatMap(({ hosts }) => hosts);
  }

  /** Every guest with our mark that is known. */
  *guests(): Generator<GuestState> {
    for (const member of this.#members) yield* member.guests();
  }

  /** What is known of a guest, given what is recorded of it. */
  observe(uid: string, record: GuestRecord | undefined): GuestObservation {
    const wanted = record && placesOf(record);
    for (const member of this.#members) {
      const guest = member.guest(uid);
      if (guest === undefined) continue;
      if (!member.isAnswering(guest.host)) return { state: "unknown" };
      // While it is being moved, only both hosts together know that a guest has ended.
      const isKnown = guest.power !== "stopped" || this.#allAnswer(member, wanted?.hosts ?? []);
      return isKnown ? { state: "present", guest } : { state: "unknown" };
    }
    if (wanted === undefined) return { state: "absent" };
    if (wanted.hosts.length > 0 && wanted.isKnown) {
      const answer = wanted.hosts.every((host) =>
        this.#members.some((member) => member.isAnswering(host)),
      );
      return { state: answer ? "absent" : "unknown" };
    }
    // A scheduler may have put it anywhere.
    const member = this.#members.find(({ hypervisor }) => hypervisor.name === record?.hypervisor);
    if (member === undefined) return { state: record?.hypervisor ? "unknown" : "absent" };
    return { state: member.isAnswering(undefined) ? "absent" : "unknown" };
  }

  #allAnswer(member: FleetMember, hosts: readonly string[]): boolean {
    return hosts.every((host) => member.isAnswering(host));
  }

  /** Every hypervisor. */
  members(): readonly FleetMember[] {
    return this.#members;
  }

  /**
   * The member that has a host.
   *
   * @throws `POLYVISOR_UNAVAILABLE` when no hypervisor reports such a host.
   */
  memberOf(host: string): FleetMember {
    const member = this.#members.find(({ hosts }) => hosts.some(({ name }) => name === host));
    if (member) return member;
    throw new PolyvisorError(
      "POLYVISOR_UNAVAILABLE",
      `no hypervisor reports a host ${JSON.stringify(host)}: check that it is configured`,
    );
  }

  /**
   * The member that a guest was sent to.
   *
   * @throws `POLYVISOR_UNAVAILABLE` when it is not there any more.
   */
  memberFor({ host, hypervisor: name }: Pick<GuestRecord, "host" | "hypervisor">): FleetMember {
    const member = this.#members.find(({ hypervisor }) => hypervisor.name === name);
    if (member) return member;
    if (host !== undefined) return this.memberOf(host);
    throw new PolyvisorError(
      "POLYVISOR_UNAVAILABLE",
      `there is no hypervisor ${JSON.stringify(name)}: check that it is configured`,
    );
  }

  /** Asks every hypervisor once; one that fails is asked again by {@link follow}. */
  async refresh(signal: AbortSignal): Promise<void> {
    await Promise.allSettled(this.#members.map((member) => member.refresh(signal)));
  }

  /** Follows every hypervisor until aborted. */
  async follow(signal: AbortSignal): Promise<void> {
    await Promise.all(this.#members.map((member) => member.follow(signal)));
  }
}

/** Where a guest may be: on these hosts, and nowhere else when that `isKnown`. */
function placesOf({ host, migration }: GuestRecord): { hosts: string[]; isKnown: boolean } {
  const hosts = [host, migration?.target].filter((name) => name !== undefined);
  const isKnown = host !== undefined && (migration === undefined || migration.target !== undefined);
  return { hosts: [...new Set(hosts)], isKnown };
}
