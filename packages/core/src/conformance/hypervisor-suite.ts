import assert from "node:assert/strict";
import type { GuestSpec } from "../backend/guest-spec.ts";
import type { GuestState, Hypervisor, HypervisorEvent } from "../backend/hypervisor.ts";
import { isPolyvisorError, type PolyvisorErrorCode } from "../util/errors.ts";
import type { ConformanceCase, ConformanceSuite } from "./conformance-case.ts";

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
}

const never: AbortSignal = new AbortController().signal;

function refusedWith(code: PolyvisorErrorCode): (error: unknown) => boolean {
  return (error) => isPolyvisorError(error, code);
}

async function listed(
  { hypervisor }: HypervisorFixture,
  uid: string,
): Promise<GuestState | undefined> {
  const { guests } = await hypervisor.guests(never);
  return guests.find((guest) => guest.uid === uid);
}

/** Runs a guest, and gives it with the place where it runs. */
async function running(
  fixture: HypervisorFixture,
  name: string,
): Promise<{ readonly spec: GuestSpec; readonly place: { readonly host: string } }> {
  const spec = await fixture.guest(name);
  const place = { host: fixture.host };
  const state = await fixture.hypervisor.startGuest(spec, place, never);
  assert.equal(state.power, "running");
  return { spec, place };
}

/** The first event that fits, while `action` goes on. */
async function eventDuring(
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

const cases: readonly ConformanceCase<HypervisorFixture>[] = [
  {
    id: "fixture/empty",
    title: "a fresh instance has no guests of ours",
    requires: [],
    async run({ hypervisor, host }) {
      const list = await hypervisor.guests(never);
      assert.deepEqual(list.guests, []);
      assert.ok(list.hosts.includes(host));
    },
  },
  {
    id: "capabilities/facets",
    title: "facets are present exactly where the manifest says so, and the manifest is plain JSON",
    requires: [],
    async run({ hypervisor }) {
      const { capabilities } = hypervisor;
      assert.equal(capabilities.consoles.serial, hypervisor.consoles !== undefined);
      assert.deepEqual(JSON.parse(JSON.stringify(capabilities)), capabilities);
      assert.ok(capabilities.blockSources.length > 0);
    },
  },
  {
    id: "hosts/described",
    title: "hosts() describes the host",
    requires: [],
    async run({ hypervisor, host }) {
      const state = (await hypervisor.hosts(never)).find(({ name }) => name === host);
      assert.ok(state?.reachable);
      assert.ok(state.cpus > 0 && state.memoryBytes > 0);
      assert.notEqual(state.hypervisorVersion, "");
    },
  },
  {
    id: "start/listed",
    title: "a started guest runs and is listed with its uid, incarnation and names",
    requires: [],
    async run(fixture) {
      const { spec } = await running(fixture, "web");
      const { uid, incarnation, namespace, name } = spec;
      const { host } = fixture;
      const state: GuestState = { uid, incarnation, namespace, name, host, power: "running" };
      const found = await listed(fixture, uid);
      // What facets add to the state is theirs to prove.
      assert.deepEqual(found, { ...found, ...state });
    },
  },
  {
    id: "start/repeated",
    title: "starting the same incarnation again changes nothing",
    requires: [],
    async run(fixture) {
      const { spec, place } = await running(fixture, "web");
      const again = await fixture.hypervisor.startGuest(spec, place, never);
      assert.equal(again.power, "running");
      assert.equal((await fixture.hypervisor.guests(never)).guests.length, 1);
    },
  },
  {
    id: "start/ended-incarnation",
    title: "an incarnation that has run and ended is not started again",
    requires: [],
    async run(fixture) {
      const { spec, place } = await running(fixture, "web");
      await fixture.hypervisor.stopGuest(spec, place, "power-off", never);
      const again = await fixture.hypervisor.startGuest(spec, place, never);
      assert.equal(again.power, "stopped");
    },
  },
  {
    id: "start/next-incarnation",
    title: "the next incarnation starts after the former has ended, and not before",
    requires: [],
    async run(fixture) {
      const { spec, place } = await running(fixture, "web");
      const next = { ...spec, incarnation: spec.incarnation + 1 };
      const early = fixture.hypervisor.startGuest(next, place, never);
      await assert.rejects(early, refusedWith("POLYVISOR_REFUSED"));
      assert.equal((await listed(fixture, spec.uid))?.incarnation, spec.incarnation);
      await fixture.hypervisor.stopGuest(spec, place, "power-off", never);
      const state = await fixture.hypervisor.startGuest(next, place, never);
      assert.equal(state.power, "running");
      assert.equal(state.incarnation, next.incarnation);
    },
  },
  {
    id: "start/older-incarnation",
    title: "an older incarnation than the host has seen is refused",
    requires: [],
    async run(fixture) {
      const spec = await fixture.guest("web");
      const place = { host: fixture.host };
      await fixture.hypervisor.startGuest({ ...spec, incarnation: 5 }, place, never);
      const older = fixture.hypervisor.startGuest({ ...spec, incarnation: 4 }, place, never);
      await assert.rejects(older, refusedWith("POLYVISOR_REFUSED"));
      assert.equal((await listed(fixture, spec.uid))?.incarnation, 5);
    },
  },
  {
    id: "start/namesake",
    title: "a second guest of the same name is refused and the first left alone",
    requires: [],
    async run(fixture) {
      const { spec, place } = await running(fixture, "web");
      const other = await fixture.guest("web");
      const second = fixture.hypervisor.startGuest(other, place, never);
      await assert.rejects(second, refusedWith("POLYVISOR_REFUSED"));
      assert.equal((await listed(fixture, spec.uid))?.power, "running");
      assert.equal(await listed(fixture, other.uid), undefined);
    },
  },
  {
    id: "start/aborted",
    title: "a start whose signal is aborted beforehand does nothing",
    requires: [],
    async run(fixture) {
      const spec = await fixture.guest("web");
      const reason = new Error("no longer wanted");
      const start = fixture.hypervisor.startGuest(
        spec,
        { host: fixture.host },
        AbortSignal.abort(reason),
      );
      await assert.rejects(start);
      assert.equal(await listed(fixture, spec.uid), undefined);
    },
  },
  {
    id: "stop/power-off",
    title: "power-off ends the guest, and again does nothing",
    requires: [],
    async run(fixture) {
      const { spec, place } = await running(fixture, "web");
      await fixture.hypervisor.stopGuest(spec, place, "power-off", never);
      const state = await listed(fixture, spec.uid);
      assert.equal(state?.power, "stopped");
      assert.equal(state.stopReason, "stopped");
      await fixture.hypervisor.stopGuest(spec, place, "power-off", never);
    },
  },
  {
    id: "stop/other-incarnation",
    title: "stopping an incarnation that does not run leaves the one that runs alone",
    requires: [],
    async run(fixture) {
      const { spec, place } = await running(fixture, "web");
      const other = { uid: spec.uid, incarnation: spec.incarnation + 1 };
      await fixture.hypervisor.stopGuest(other, place, "power-off", never);
      assert.equal((await listed(fixture, spec.uid))?.power, "running");
    },
  },
  {
    id: "remove/ended",
    title: "a guest that has ended is forgotten, and again does nothing",
    requires: [],
    async run(fixture) {
      const { spec, place } = await running(fixture, "web");
      const early = fixture.hypervisor.removeGuest(spec.uid, place, never);
      await assert.rejects(early, refusedWith("POLYVISOR_REFUSED"));
      assert.equal((await listed(fixture, spec.uid))?.power, "running");
      await fixture.hypervisor.stopGuest(spec, place, "power-off", never);
      await fixture.hypervisor.removeGuest(spec.uid, place, never);
      assert.equal(await listed(fixture, spec.uid), undefined);
      await fixture.hypervisor.removeGuest(spec.uid, place, never);
    },
  },
  {
    id: "watch/life",
    title: "watch() tells of a start, an end and a removal",
    requires: [],
    async run(fixture) {
      const { hypervisor, host } = fixture;
      const spec = await fixture.guest("web");
      const { uid } = spec;
      const place = { host };
      const isGuest = (power: GuestState["power"]) => (event: HypervisorEvent) =>
        event.type === "guest" && event.guest.uid === uid && event.guest.power === power;
      await eventDuring(fixture, isGuest("running"), () =>
        hypervisor.startGuest(spec, place, never),
      );
      await eventDuring(fixture, isGuest("stopped"), () =>
        hypervisor.stopGuest(spec, place, "power-off", never),
      );
      await eventDuring(
        fixture,
        (event) => event.type === "guest-removed" && event.uid === uid,
        () => hypervisor.removeGuest(uid, place, never),
      );
    },
  },
  {
    id: "watch/ends",
    title: "watch() ends when its signal is aborted",
    requires: [],
    async run({ hypervisor }) {
      const ending = new AbortController();
      const events = hypervisor.watch(ending.signal);
      const finished = (async () => {
        for await (const _ of events);
      })();
      ending.abort();
      await finished;
    },
  },
  {
    id: "unknown-guests/reported",
    title: "a guest that is not ours is reported, not listed as ours, and not touched",
    requires: [],
    async run(fixture) {
      const name = await fixture.addUnknownGuest();
      const state = (await fixture.hypervisor.hosts(never)).find(
        (host) => host.name === fixture.host,
      );
      assert.ok(state?.unknownGuests.includes(name));
      assert.deepEqual((await fixture.hypervisor.guests(never)).guests, []);
      assert.ok(await fixture.isUntouched(name));
    },
  },
  {
    id: "consoles/serial",
    title: "the serial console of a running guest gives bytes and takes them",
    requires: ["consoles.serial"],
    async run(fixture) {
      const { spec } = await running(fixture, "web");
      const signal = AbortSignal.timeout(fixture.patience);
      await using console = await fixture.hypervisor.consoles?.openSerial(spec, { signal });
      assert.ok(console);
      await console.write(Buffer.from("\r"));
      for await (const bytes of console) if (bytes.length > 0) return;
      assert.fail("the console ended without a byte");
    },
  },
  {
    id: "consoles/not-running",
    title: "a guest that does not run has no console",
    requires: ["consoles.serial"],
    async run(fixture) {
      const { uid, incarnation } = await fixture.guest("web");
      const opening = fixture.hypervisor.consoles?.openSerial({ uid, incarnation }, {});
      await assert.rejects(async () => opening, refusedWith("POLYVISOR_NOT_FOUND"));
    },
  },
];

/** What every hypervisor must do. */
export const hypervisorSuite: ConformanceSuite<HypervisorFixture> = {
  port: "Hypervisor",
  cases,
  capabilities: ({ hypervisor }) => hypervisor.capabilities,
};
