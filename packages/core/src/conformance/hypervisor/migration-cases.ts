import assert from "node:assert/strict";
import type { GuestState } from "../../backend/hypervisor.ts";
import type { LiveMigration, MigrationRequest } from "../../backend/live-migration.ts";
import type { Placement } from "../../backend/placement.ts";
import { failsWith, never } from "../expectations.ts";
import {
  eventually,
  type HypervisorCase,
  type HypervisorFixture,
  listed,
  placement,
  type RunningGuest,
  running,
} from "./hypervisor-fixture.ts";

function facet({ hypervisor }: HypervisorFixture): LiveMigration {
  assert.ok(hypervisor.migration, "the facet is missing");
  return hypervisor.migration;
}

async function request(
  fixture: HypervisorFixture,
  { spec, where }: RunningGuest,
  id: string,
): Promise<MigrationRequest> {
  assert.ok(fixture.prepareMigration, "the fixture must have prepareMigration()");
  const { target: host, disks } = await fixture.prepareMigration(spec);
  const explicit = fixture.hypervisor.capabilities.placement === "explicit";
  const target: Placement = explicit ? { host } : placement(fixture);
  return { id, source: where.host, target, disks, autoConverge: false };
}

/** Waits until a migration is over. */
function untilOver(fixture: HypervisorFixture, uid: string, id: string): Promise<GuestState> {
  return eventually(fixture, `migration ${id} is over`, async () => {
    const state = await listed(fixture, uid);
    const over = ["succeeded", "failed", "cancelled"].includes(state?.migration?.phase ?? "");
    return state?.migration?.id === id && over && state;
  });
}

/** Live migration. */
export const MIGRATION_CASES: readonly HypervisorCase[] = [
  {
    id: "migration/moves",
    title: "a guest goes on at another host, as the same incarnation, listed once",
    requires: ["migration"],
    async run(fixture) {
      const guest = await running(fixture, "web");
      const { uid, incarnation } = guest.spec;
      const order = await request(fixture, guest, "one");
      await facet(fixture).start(guest.spec, order, never);
      const state = await untilOver(fixture, uid, "one");
      assert.equal(state.migration?.phase, "succeeded", state.migration?.message);
      assert.equal(state.power, "running");
      assert.equal(state.incarnation, incarnation);
      assert.notEqual(state.host, guest.where.host);
      assert.equal(state.migration.source, guest.where.host);
      assert.equal(state.migration.target, state.host);
      assert.equal((await fixture.hypervisor.guests(never)).guests.length, 1);
    },
  },
  {
    id: "migration/repeated",
    title: "a migration that is asked for again is not begun again",
    requires: ["migration"],
    async run(fixture) {
      const guest = await running(fixture, "web");
      const order = await request(fixture, guest, "one");
      await facet(fixture).start(guest.spec, order, never);
      await facet(fixture).start(guest.spec, order, never);
      const state = await untilOver(fixture, guest.spec.uid, "one");
      assert.equal(state.migration?.phase, "succeeded", state.migration?.message);
    },
  },
  {
    id: "migration/stops-there",
    title: "after a migration the guest is stopped and forgotten where it is",
    requires: ["migration"],
    async run(fixture) {
      const { hypervisor } = fixture;
      const guest = await running(fixture, "web");
      await facet(fixture).start(guest.spec, await request(fixture, guest, "one"), never);
      const { host } = await untilOver(fixture, guest.spec.uid, "one");
      assert.ok(host);
      await hypervisor.stopGuest(guest.spec, { host }, "power-off", never);
      assert.equal((await listed(fixture, guest.spec.uid))?.power, "stopped");
      await hypervisor.removeGuest(guest.spec.uid, { host }, never);
      assert.deepEqual((await hypervisor.guests(never)).guests, []);
    },
  },
  {
    id: "migration/refused",
    title: "to where the guest is, or of one that does not run, is refused and changes nothing",
    requires: ["migration"],
    async run(fixture) {
      const guest = await running(fixture, "web");
      const order = await request(fixture, guest, "one");
      const here = {
        nodeSelectors: [{ matchLabels: { "kubernetes.io/hostname": "no-such-host" } }],
        tolerations: [],
        topologySpreadConstraints: [],
        cpuFeatures: [],
      };
      if (fixture.hypervisor.capabilities.placement === "explicit") {
        const same = facet(fixture).start(
          guest.spec,
          { ...order, target: { host: guest.where.host } },
          never,
        );
        await assert.rejects(same, failsWith("POLYVISOR_REFUSED"));
      } else {
        await facet(fixture).start(guest.spec, { ...order, target: { within: here } }, never);
        assert.equal((await listed(fixture, guest.spec.uid))?.migration?.phase, "pending");
        await facet(fixture).cancel(guest.spec, "one", never);
      }
      const state = await listed(fixture, guest.spec.uid);
      assert.equal(state?.power, "running");
      assert.equal(state.host, guest.where.host);
      await fixture.hypervisor.stopGuest(guest.spec, guest.where, "power-off", never);
      const late = facet(fixture).start(guest.spec, { ...order, id: "two" }, never);
      await assert.rejects(late, failsWith("POLYVISOR_REFUSED"));
    },
  },
  {
    id: "migration/cancelled",
    title: "a migration that is cancelled leaves one guest; cancelling what is over does nothing",
    requires: ["migration"],
    async run(fixture) {
      const guest = await running(fixture, "web");
      const order = await request(fixture, guest, "one");
      await facet(fixture).start(guest.spec, order, never);
      await facet(fixture).cancel(guest.spec, "one", never);
      const state = await untilOver(fixture, guest.spec.uid, "one");
      // It may have been too late.
      const cancelled = state.migration?.phase === "cancelled";
      assert.equal(state.power, "running");
      assert.equal(state.host === guest.where.host, cancelled);
      await facet(fixture).cancel(guest.spec, "one", never);
      const after = await listed(fixture, guest.spec.uid);
      assert.equal(after?.power, "running");
      assert.equal(after.host, state.host);
    },
  },
  {
    id: "migration/cancelled-before",
    title: "a migration that was cancelled before it had begun does not begin any more",
    requires: ["migration"],
    async run(fixture) {
      const guest = await running(fixture, "web");
      const order = await request(fixture, guest, "one");
      await facet(fixture).cancel(guest.spec, "one", never);
      const late = facet(fixture).start(guest.spec, order, never);
      await assert.rejects(late, failsWith("POLYVISOR_REFUSED"));
      const state = await listed(fixture, guest.spec.uid);
      assert.equal(state?.power, "running");
      assert.equal(state.host, guest.where.host);
    },
  },
];
