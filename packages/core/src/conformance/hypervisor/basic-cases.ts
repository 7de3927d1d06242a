import assert from "node:assert/strict";
import { never } from "../expectations.ts";
import { type HypervisorCase, listed, running } from "./hypervisor-fixture.ts";

/** What must hold before anything else means something. */
export const BASIC_CASES: readonly HypervisorCase[] = [
  {
    id: "fixture/isolated",
    title: "two instances share nothing",
    requires: [],
    async run(fixture, openAnother) {
      await using other = await openAnother();
      const { spec } = await running(fixture, "web");
      assert.deepEqual((await other.hypervisor.guests(never)).guests, []);
      await running(other, "web");
      assert.equal((await fixture.hypervisor.guests(never)).guests.length, 1);
      assert.equal((await listed(fixture, spec.uid))?.power, "running");
    },
  },
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
      const { capabilities, consoles, migration, hotplug, agent } = hypervisor;
      const { serial, vnc } = capabilities.consoles;
      assert.equal(serial || vnc, consoles !== undefined, "consoles");
      assert.equal(vnc, consoles?.openVnc !== undefined, "consoles.openVnc");
      assert.equal(capabilities.migration, migration !== undefined, "migration");
      assert.equal(capabilities.hotplug, hotplug !== undefined, "hotplug");
      assert.equal(capabilities.agent, agent !== undefined, "agent");
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
];
