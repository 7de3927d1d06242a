import assert from "node:assert/strict";
import type { GuestDisk, GuestSpec } from "../../backend/guest-spec.ts";
import type {
  GuestLocation,
  GuestState,
  Hypervisor,
  HypervisorEvent,
} from "../../backend/hypervisor.ts";
import type { Placement, PlacementConstraints } from "../../backend/placement.ts";
import type { ConformanceCase } from "../conformance-case.ts";
import { never } from "../expectations.ts";

/** A hypervisor that is open, and what the suite needs around it. */
export interface HypervisorFixture extends AsyncDisposable {
  readonly hypervisor: Hypervisor;
  /** A host that answers. */
  readonly host: string;
  /** Milliseconds within which the hypervisor reports a change. */
  readonly patience: number;
  /** A guest with this name that can be started on the host, its disks ready. Each call gives another uid. */
  guest(name: string): Promise<GuestSpec>;
  /** Puts a guest on the host that is not ours, and gives back its name. */
  addUnknownGuest(): Promise<string>;
  /** True while the guest of {@link addUnknownGuest} is as it was. */
  isUntouched(name: string): Promise<boolean>;
  /** Needed with the facet `hotplug`: a disk that can be plugged into a guest on the host. */
  readonly disk?: (name: string) => Promise<GuestDisk>;
  /**
   * Needed with the facet `migration`: prepares another host for a guest that runs, and gives its name and the guest's
   * disks as it finds them.
   */
  readonly prepareMigration?: (spec: GuestSpec) => Promise<{
    readonly target: string;
    readonly disks: readonly GuestDisk[];
  }>;
  /** Needed with the facet `agent`: a guest without an agent. */
  readonly guestWithoutAgent?: (name: string) => Promise<GuestSpec>;
}

/** A case of the suite for hypervisors. */
export type HypervisorCase = ConformanceCase<HypervisorFixture>;

const ANYWHERE: PlacementConstraints = {
  nodeSelectors: [],
  tolerations: [],
  topologySpreadConstraints: [],
  cpuFeatures: [],
};

/** Where guests of the suite are put. */
export function placement(
  { hypervisor, host }: HypervisorFixture,
  constraints: Partial<PlacementConstraints> = {},
): Placement {
  if (hypervisor.capabilities.placement === "explicit") return { host };
  return { within: { ...ANYWHERE, ...constraints } };
}

/** The guest as it is listed. */
export async function listed(
  { hypervisor }: HypervisorFixture,
  uid: string,
): Promise<GuestState | undefined> {
  const { guests } = await hypervisor.guests(never);
  const found = guests.filter((guest) => guest.uid === uid);
  assert.ok(found.length <= 1, "a guest is listed twice");
  return found[0];
}

/** Waits until something holds. */
export async function eventually<T>(
  { patience }: HypervisorFixture,
  what: string,
  check: () => Promise<T | undefined | false>,
): Promise<T> {
  const end = performance.now() + patience;
  for (;;) {
    const found = await check();
    if (found !== undefined && found !== false) return found;
    if (performance.now() > end) assert.fail(`${what}: not within ${patience} ms`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** Waits until a guest is listed with a power. */
function untilPower(
  fixture: HypervisorFixture,
  uid: string,
  power: GuestState["power"],
): Promise<GuestState> {
  return eventually(fixture, `the guest is ${power}`, async () => {
    const state = await listed(fixture, uid);
    return state?.power === power && state;
  });
}

/** A guest that runs. */
export interface RunningGuest {
  readonly spec: GuestSpec;
  readonly place: Placement;
  readonly where: GuestLocation & { readonly host: string };
}

/** Starts a guest, and waits until it runs. */
export async function running(
  fixture: HypervisorFixture,
  name: string,
  make: (name: string) => Promise<GuestSpec> = (each) => fixture.guest(each),
): Promise<RunningGuest> {
  const spec = await make(name);
  const place = placement(fixture);
  return { spec, place, where: { host: await run(fixture, spec, place) } };
}

/** Starts a guest, waits until it runs, and gives its host. */
export async function run(
  fixture: HypervisorFixture,
  spec: GuestSpec,
  place: Placement = placement(fixture),
): Promise<string> {
  const first = await fixture.hypervisor.startGuest(spec, place, never);
  const state = first.power === "running" ? first : await untilPower(fixture, spec.uid, "running");
  assert.equal(state.power, "running");
  assert.ok(state.host !== undefined, "a guest that runs has a host");
  return state.host;
}

/** The first event that fits, while `action` goes on. */
export async function eventDuring(
  { hypervisor, patience }: HypervisorFixture,
  fits: (event: HypervisorEvent) => boolean,
  action: () => Promise<unknown>,
): Promise<HypervisorEvent> {
  const ending = new AbortController();
  const timer = setTimeout(() => ending.abort(), patience);
  const events = hypervisor.watch(ending.signal);
  try {
    await action();
    for await (const event of events) if (fits(event)) return event;
    assert.fail(`no event that fits came within ${patience} ms`);
  } finally {
    clearTimeout(timer);
    ending.abort();
  }
}
