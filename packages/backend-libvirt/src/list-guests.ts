import { setTimeout as sleep } from "node:timers/promises";
import type { GuestList, GuestState } from "@polyvisor/core";
import type { HostDomain, LibvirtHost } from "./host/libvirt-host.ts";
import type { MigrationBook } from "./migration/migration-book.ts";

/** How often hosts are asked again when a guest went from one to the other while they were asked. */
const ATTEMPTS = 3;
const PAUSE_MILLISECONDS = 200;

/** What a host has answered. */
export interface HostAnswer {
  readonly host: LibvirtHost;
  readonly domains: readonly HostDomain[];
}

/**
 * Lists every guest once. Hosts do not answer at the same moment, so a guest that is being migrated may be seen on both
 * or on neither: hosts that could have it do then not count as having answered.
 */
export async function listGuests(
  ask: () => Promise<readonly HostAnswer[]>,
  book: MigrationBook,
  signal: AbortSignal,
): Promise<GuestList> {
  for (let attempt = 1; ; attempt += 1) {
    const before = book.migrations();
    const answers = await ask();
    const guests = onceEach(answers.flatMap(statesOf));
    const moving = new Map([...before, ...book.migrations()]);
    for (const { domains } of answers) {
      for (const { inTransit, handle, description } of domains) {
        if (inTransit && description.migration) moving.set(handle.uuid, description.migration);
      }
    }
    const missing = Array.from(moving).filter(([uid]) => !guests.some((each) => each.uid === uid));
    if (missing.length === 0 || attempt === ATTEMPTS) {
      const doubtful = new Set(missing.flatMap(([, { source, target }]) => [source, target]));
      const names = answers.map(({ host }) => host.name);
      return { guests, hosts: names.filter((name) => !doubtful.has(name)) };
    }
    await sleep(PAUSE_MILLISECONDS, undefined, { signal });
  }
}

function statesOf({ domains }: HostAnswer): GuestState[] {
  return domains.flatMap(({ state, inTransit }) => (inTransit ? [] : (state ?? [])));
}

/** Of a guest that is listed twice, that of the later host of its migration. */
function onceEach(states: readonly GuestState[]): GuestState[] {
  const byUid = new Map<string, GuestState>();
  for (const state of states) {
    const other = byUid.get(state.uid);
    const isLater = other === undefined || state.host === state.migration?.target;
    if (isLater) byUid.set(state.uid, state);
  }
  return [...byUid.values()];
}
