import type { GuestRef } from "../backend/guest-spec.ts";
import type { Hotplug } from "../backend/hotplug.ts";
import type { LiveMigration, MigrationState } from "../backend/live-migration.ts";
import { PolyvisorError } from "../util/errors.ts";
import type { FakeGuest } from "./fake-hypervisor.ts";

/** What the facets of a fake hypervisor work on. */
export interface FakeGuests {
  /** The guest on a host, or with an empty name on whichever. */
  find(uid: string, host: string): FakeGuest | undefined;
  /** @throws `POLYVISOR_UNAVAILABLE` for a host that does not answer. */
  reach(host: string): void;
  /** Puts a guest on another host. */
  move(guest: FakeGuest, host: string): void;
  /** Tells those who watch. */
  changed(guest: FakeGuest): void;
}

function running(guests: FakeGuests, { uid, incarnation }: GuestRef, host: string): FakeGuest {
  guests.reach(host);
  const guest = guests.find(uid, host);
  if (guest && guest.state.power === "running" && guest.spec.incarnation === incarnation)
    return guest;
  throw new PolyvisorError("POLYVISOR_REFUSED", "the guest does not run there");
}

/** Plugs and unplugs at once. */
export function fakeHotplug(guests: FakeGuests): Hotplug {
  const put = (guest: FakeGuest, disks: FakeGuest["spec"]["disks"]): void => {
    guest.spec = { ...guest.spec, disks };
    guests.changed(guest);
  };
  return {
    attachDisk: async (ref, host, disk) => {
      const guest = running(guests, ref, host);
      const { disks } = guest.spec;
      if (disks.every(({ name }) => name !== disk.name)) put(guest, [...disks, disk]);
    },
    detachDisk: async (ref, host, name) => {
      const guest = running(guests, ref, host);
      const { disks } = guest.spec;
      const left = disks.filter((disk) => disk.name !== name);
      if (left.length < disks.length) put(guest, left);
    },
    resizeDisk: async (ref, host) => {
      running(guests, ref, host);
    },
  };
}

/** Migrations that are over at once, unless they are held. */
export class FakeMigrations implements LiveMigration {
  /** When true, migrations go on until {@link finish} is called. */
  hold = false;
  readonly #guests: FakeGuests;
  /** Migrations that were called off before they had begun. */
  readonly #forbidden = new Set<string>();

  constructor(guests: FakeGuests) {
    this.#guests = guests;
  }

  start: LiveMigration["start"] = async (ref, { id, source, target, disks }) => {
    const { uid } = ref;
    if (!("host" in target)) throw refused("a host must be named");
    const { host } = target;
    const there = this.#guests.find(uid, host);
    if (there?.state.migration?.id === id) return;
    const here = this.#guests.find(uid, source);
    if (here?.state.migration?.id === id) return;
    const guest = running(this.#guests, ref, source);
    this.#guests.reach(host);
    if (this.#forbidden.has(id)) throw refused("the migration was called off");
    if (isUnderWay(guest.state.migration)) throw refused("another migration is under way");
    guest.state = {
      ...guest.state,
      migration: {
        id,
        source,
        target: host,
        phase: "copying",
        totalBytes: 100,
        remainingBytes: 100,
      },
    };
    guest.targetDisks = disks;
    this.#guests.changed(guest);
    if (!this.hold) this.finish(guest);
  };

  cancel: LiveMigration["cancel"] = async ({ uid }, id) => {
    this.#forbidden.add(id);
    const guest = this.#guests.find(uid, "");
    const { migration } = guest?.state ?? {};
    if (guest && migration?.id === id && isUnderWay(migration)) this.finish(guest, "cancelled");
  };

  /** Ends a migration that is under way. */
  finish(guest: FakeGuest, phase: "succeeded" | "failed" | "cancelled" = "succeeded"): void {
    const { migration } = guest.state;
    if (migration?.target === undefined || !isUnderWay(migration)) return;
    const message = phase === "failed" ? "the target ran out of luck" : undefined;
    guest.state = {
      ...guest.state,
      migration: { ...migration, phase, ...(message !== undefined && { message }) },
    };
    if (phase === "succeeded") {
      guest.spec = { ...guest.spec, disks: guest.targetDisks ?? guest.spec.disks };
      this.#guests.move(guest, migration.target);
    }
    this.#guests.changed(guest);
  }
}

function isUnderWay(migration: MigrationState | undefined): boolean {
  return migration?.phase === "copying";
}

function refused(reason: string): PolyvisorError {
  return new PolyvisorError("POLYVISOR_REFUSED", reason);
}
