import assert from "node:assert/strict";
import { failsWith, never } from "../expectations.ts";
import { type HypervisorCase, listed, placement, running } from "./hypervisor-fixture.ts";

/** No host has this label. */
const NOWHERE = { nodeSelectors: [{ matchLabels: { "polyvisor.test/nowhere": "true" } }] };

/** Who chooses the host. */
export const PLACEMENT_CASES: readonly HypervisorCase[] = [
  {
    id: "placement/explicit",
    title: "a guest runs on the host that was named, and is not placed within constraints",
    requires: ["placement=explicit"],
    async run(fixture) {
      const { where } = await running(fixture, "web");
      assert.equal(where.host, fixture.host);
      const other = await fixture.guest("other");
      const within = {
        ...NOWHERE,
        tolerations: [],
        topologySpreadConstraints: [],
        cpuFeatures: [],
      };
      const start = fixture.hypervisor.startGuest(other, { within }, never);
      await assert.rejects(start, failsWith("POLYVISOR_REFUSED", "POLYVISOR_UNSUPPORTED"));
      assert.equal(await listed(fixture, other.uid), undefined);
    },
  },
  {
    id: "placement/unknown-host",
    title: "a host that does not exist is an error, and nothing runs",
    requires: ["placement=explicit"],
    async run(fixture) {
      const spec = await fixture.guest("web");
      const start = fixture.hypervisor.startGuest(spec, { host: "no-such-host" }, never);
      await assert.rejects(start, failsWith("POLYVISOR_REFUSED", "POLYVISOR_UNAVAILABLE"));
      assert.equal(await listed(fixture, spec.uid), undefined);
    },
  },
  {
    id: "placement/complete",
    title: "a list of guests says that it is complete, and hosts are not named",
    requires: ["placement=delegated"],
    async run(fixture) {
      assert.equal((await fixture.hypervisor.guests(never)).complete, true);
      const spec = await fixture.guest("web");
      const start = fixture.hypervisor.startGuest(spec, { host: fixture.host }, never);
      await assert.rejects(start, failsWith("POLYVISOR_REFUSED", "POLYVISOR_UNSUPPORTED"));
      assert.equal(await listed(fixture, spec.uid), undefined);
    },
  },
  {
    id: "placement/pending",
    title: "a guest without a place is pending, says why, and can be given up",
    requires: ["placement=delegated"],
    async run(fixture) {
      const { hypervisor } = fixture;
      const spec = await fixture.guest("web");
      await hypervisor.startGuest(spec, placement(fixture, NOWHERE), never);
      const state = await listed(fixture, spec.uid);
      assert.equal(state?.power, "pending");
      assert.equal(state.host, undefined);
      assert.ok(state.message, "it does not say what it waits for");
      await hypervisor.stopGuest(spec, {}, "power-off", never);
      assert.equal((await listed(fixture, spec.uid))?.power, "stopped");
      await hypervisor.removeGuest(spec.uid, {}, never);
      assert.equal(await listed(fixture, spec.uid), undefined);
    },
  },
];
