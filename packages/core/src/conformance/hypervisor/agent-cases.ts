import assert from "node:assert/strict";
import type { GuestAgent } from "../../backend/guest-agent.ts";
import { failsWith, never } from "../expectations.ts";
import {
  eventually,
  type HypervisorCase,
  type HypervisorFixture,
  listed,
  type RunningGuest,
  running,
} from "./hypervisor-fixture.ts";

function facet({ hypervisor }: HypervisorFixture): GuestAgent {
  assert.ok(hypervisor.agent, "the facet is missing");
  return hypervisor.agent;
}

/** A guest whose agent answers. */
async function talking(fixture: HypervisorFixture): Promise<RunningGuest> {
  const guest = await running(fixture, "web");
  await eventually(
    fixture,
    "the agent answers",
    async () => (await listed(fixture, guest.spec.uid))?.agentConnected === true,
  );
  return guest;
}

async function isFrozen(fixture: HypervisorFixture, uid: string): Promise<boolean> {
  return (await listed(fixture, uid))?.frozen === true;
}

/** The agent inside guests. */
export const AGENT_CASES: readonly HypervisorCase[] = [
  {
    id: "agent/info",
    title: "the agent tells of itself and of the guest's addresses",
    requires: ["agent"],
    async run(fixture) {
      const { spec, where } = await talking(fixture);
      const info = await facet(fixture).info(spec, where.host, never);
      assert.notEqual(info.version, "");
      assert.ok(info.supported);
      for (const { address } of spec.interfaces) assert.ok(info.addresses.includes(address));
    },
  },
  {
    id: "agent/freeze",
    title: "file systems are frozen and let go, and both can be repeated",
    requires: ["agent"],
    async run(fixture) {
      const { spec, where } = await talking(fixture);
      const options = { timeoutSeconds: 600, signal: never };
      await facet(fixture).freeze(spec, where.host, options);
      await facet(fixture).freeze(spec, where.host, options);
      assert.ok(await isFrozen(fixture, spec.uid));
      await facet(fixture).thaw(spec, where.host, never);
      await facet(fixture).thaw(spec, where.host, never);
      assert.equal(await isFrozen(fixture, spec.uid), false);
    },
  },
  {
    id: "agent/thaws-by-itself",
    title: "what nobody lets go is let go when its time is over",
    requires: ["agent"],
    async run(fixture) {
      const { spec, where } = await talking(fixture);
      const options = { timeoutSeconds: 2, signal: never };
      await facet(fixture).freeze(spec, where.host, options);
      await eventually(
        fixture,
        "the file systems are let go",
        async () => !(await isFrozen(fixture, spec.uid)),
      );
    },
  },
  {
    id: "agent/none",
    title: "a guest without an agent is not frozen",
    requires: ["agent"],
    async run(fixture) {
      assert.ok(fixture.guestWithoutAgent, "the fixture must have guestWithoutAgent()");
      const make = (name: string) => fixture.guestWithoutAgent?.(name) ?? fixture.guest(name);
      const { spec, where } = await running(fixture, "web", make);
      const options = { timeoutSeconds: 600, signal: never };
      const freeze = facet(fixture).freeze(spec, where.host, options);
      await assert.rejects(freeze, failsWith("POLYVISOR_UNAVAILABLE"));
      assert.equal(await isFrozen(fixture, spec.uid), false);
    },
  },
];
