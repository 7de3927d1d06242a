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

  /** What is known of a guest, given the host that it was last sent to. */
  observe(uid: string, host: string | undefined): GuestObservation {
    for (const member of this.#members) {
      const guest = member.guest(uid);
      if (guest) {
        return member.isAnswering(guest.host) ? { state: "present", guest } : { state: "unknown" };
      }
    }
    if (host === undefined) return { state: "absent" };
    const answering = this.#members.some((member) => member.isAnswering(host));
    return { state: answering ? "absent" : "unknown" };
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

  /** Asks every hypervisor once; one that fails is asked again by {@link follow}. */
  async refresh(signal: AbortSignal): Promise<void> {
    await Promise.allSettled(this.#members.map((member) => member.refresh(signal)));
  }

  /** Follows every hypervisor until aborted. */
  async follow(signal: AbortSignal): Promise<void> {
    await Promise.all(this.#members.map((member) => member.follow(signal)));
  }
}
