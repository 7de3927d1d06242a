import assert from "node:assert/strict";
import type { GuestState, HypervisorEvent } from "../../backend/hypervisor.ts";
import { failsWith, never } from "../expectations.ts";
import {
  eventDuring,
  type HypervisorCase,
  listed,
  placement,
  run,
  running,
} from "./hypervisor-fixture.ts";

/** Start, end and removal. */
export const LIFE_CASES: readonly HypervisorCase[] = [
  {
    id: "start/listed",
    title: "a started guest runs and is listed with its uid, incarnation, names and host",
    requires: [],
    async run(fixture) {
      const { spec, where } = await running(fixture, "web");
      const { uid, incarnation, namespace, name } = spec;
      const state = await listed(fixture, uid);
      assert.ok(state, "the guest is not listed");
      const known = { ...state, uid, incarnation, namespace, name, ...where, power: "running" };
      assert.deepEqual(state, known);
      assert.equal(state.stopReason, undefined);
      const hosts = await fixture.hypervisor.hosts(never);
      assert.ok(
        hosts.some((host) => host.name === state.host),
        "its host is none of hosts()",
      );
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
    id: "start/at-once",
    title: "two starts of one incarnation at once make one guest",
    requires: [],
    async run(fixture) {
      const spec = await fixture.guest("web");
      const starts = [run(fixture, spec), run(fixture, spec)];
      await Promise.all(starts);
      assert.equal((await fixture.hypervisor.guests(never)).guests.length, 1);
    },
  },
  {
    id: "start/ended-incarnation",
    title: "an incarnation that has run and ended is not started again",
    requires: [],
    async run(fixture) {
      const { spec, place, where } = await running(fixture, "web");
      await fixture.hypervisor.stopGuest(spec, where, "power-off", never);
      const again = await fixture.hypervisor.startGuest(spec, place, never);
      assert.equal(again.power, "stopped");
    },
  },
  {
    id: "start/next-incarnation",
    title: "the next incarnation starts after the former has ended, and not before",
    requires: [],
    async run(fixture) {
      const { spec, place, where } = await running(fixture, "web");
      const next = { ...spec, incarnation: spec.incarnation + 1 };
      const early = fixture.hypervisor.startGuest(next, place, never);
      await assert.rejects(early, failsWith("POLYVISOR_REFUSED"));
      assert.equal((await listed(fixture, spec.uid))?.incarnation, spec.incarnation);
      await fixture.hypervisor.stopGuest(spec, where, "power-off", never);
      await run(fixture, next, place);
      assert.equal((await listed(fixture, spec.uid))?.incarnation, next.incarnation);
    },
  },
  {
    id: "start/older-incarnation",
    title: "an older incarnation than the host has seen is refused",
    requires: [],
    async run(fixture) {
      const spec = await fixture.guest("web");
      await run(fixture, { ...spec, incarnation: 5 });
      const place = placement(fixture);
      const older = fixture.hypervisor.startGuest({ ...spec, incarnation: 4 }, place, never);
      await assert.rejects(older, failsWith("POLYVISOR_REFUSED"));
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
      await assert.rejects(second, failsWith("POLYVISOR_REFUSED"));
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
      const aborted = AbortSignal.abort(new Error("no longer wanted"));
      await assert.rejects(fixture.hypervisor.startGuest(spec, placement(fixture), aborted));
      assert.equal(await listed(fixture, spec.uid), undefined);
    },
  },
  {
    id: "stop/power-off",
    title: "power-off ends the guest, and again does nothing",
    requires: [],
    async run(fixture) {
      const { spec, where } = await running(fixture, "web");
      await fixture.hypervisor.stopGuest(spec, where, "power-off", never);
      const state = await listed(fixture, spec.uid);
      assert.equal(state?.power, "stopped");
      assert.equal(state.stopReason, "stopped");
      await fixture.hypervisor.stopGuest(spec, where, "power-off", never);
    },
  },
  {
    id: "stop/other-incarnation",
    title: "stopping an incarnation that does not run leaves the one that runs alone",
    requires: [],
    async run(fixture) {
      const { spec, where } = await running(fixture, "web");
      const other = { uid: spec.uid, incarnation: spec.incarnation + 1 };
      await fixture.hypervisor.stopGuest(other, where, "power-off", never);
      assert.equal((await listed(fixture, spec.uid))?.power, "running");
    },
  },
  {
    id: "remove/ended",
    title: "a guest that has ended is forgotten, and again does nothing",
    requires: [],
    async run(fixture) {
      const { spec, where } = await running(fixture, "web");
      const early = fixture.hypervisor.removeGuest(spec.uid, where, never);
      await assert.rejects(early, failsWith("POLYVISOR_REFUSED"));
      assert.equal((await listed(fixture, spec.uid))?.power, "running");
      await fixture.hypervisor.stopGuest(spec, where, "power-off", never);
      await fixture.hypervisor.removeGuest(spec.uid, where, never);
      assert.equal(await listed(fixture, spec.uid), undefined);
      await fixture.hypervisor.removeGuest(spec.uid, where, never);
    },
  },
  {
    id: "watch/life",
    title: "watch() tells of a start, an end and a removal",
    requires: [],
    async run(fixture) {
      const { hypervisor } = fixture;
      const spec = await fixture.guest("web");
      const { uid } = spec;
      const isGuest = (power: GuestState["power"]) => (event: HypervisorEvent) =>
        event.type === "guest" && event.guest.uid === uid && event.guest.power === power;
      let where = {};
      await eventDuring(fixture, isGuest("running"), async () => {
        where = { host: await run(fixture, spec) };
      });
      await eventDuring(fixture, isGuest("stopped"), () =>
        hypervisor.stopGuest(spec, where, "power-off", never),
      );
      await eventDuring(
        fixture,
        (event) => event.type === "guest-removed" && event.uid === uid,
        () => hypervisor.removeGuest(uid, where, never),
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
];
