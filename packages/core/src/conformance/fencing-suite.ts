import assert from "node:assert/strict";
import type { Fencing } from "../backend/fencing.ts";
import type { ConformanceCase, ConformanceSuite } from "./conformance-case.ts";
import { failsWith, never } from "./expectations.ts";

/** A fence device, and what the suite needs around it. */
export interface FencingFixture extends AsyncDisposable {
  readonly fencing: Fencing;
  /** A host that it has power over, and that is on. */
  readonly host: string;
  /** Whether the host has power in truth, as somebody sees who stands in front of it. */
  readonly hasPower: () => Promise<boolean>;
}

const cases: readonly ConformanceCase<FencingFixture>[] = [
  {
    id: "fixture/isolated",
    title: "two instances share nothing",
    requires: [],
    async run({ fencing, host, hasPower }, openAnother) {
      await using other = await openAnother();
      await other.fencing.powerOff(other.host, never);
      assert.equal(await fencing.power(host, never), "on");
      assert.ok(await hasPower());
    },
  },
  {
    id: "hosts/listed",
    title: "hosts() names the host, and its power is read",
    requires: [],
    async run({ fencing, host }) {
      assert.ok((await fencing.hosts(never)).includes(host));
      assert.equal(await fencing.power(host, never), "on");
    },
  },
  {
    id: "power/off",
    title: "a host that is turned off is off when the call returns, and again does nothing",
    requires: [],
    async run({ fencing, host, hasPower }) {
      await fencing.powerOff(host, never);
      assert.equal(await hasPower(), false);
      assert.equal(await fencing.power(host, never), "off");
      await fencing.powerOff(host, never);
      assert.equal(await fencing.power(host, never), "off");
    },
  },
  {
    id: "power/on",
    title: "a host that is turned on is on when the call returns, and again does nothing",
    requires: [],
    async run({ fencing, host, hasPower }) {
      await fencing.powerOff(host, never);
      await fencing.powerOn(host, never);
      assert.equal(await fencing.power(host, never), "on");
      assert.ok(await hasPower());
      await fencing.powerOn(host, never);
      assert.ok(await hasPower());
    },
  },
  {
    id: "power/unknown-host",
    title: "there is no power over a host that the device does not know",
    requires: [],
    async run({ fencing, host, hasPower }) {
      const unknown = failsWith("POLYVISOR_NOT_FOUND");
      await assert.rejects(fencing.power(`no-${host}`, never), unknown);
      await assert.rejects(fencing.powerOff(`no-${host}`, never), unknown);
      await assert.rejects(fencing.powerOn(`no-${host}`, never), unknown);
      assert.ok(await hasPower());
    },
  },
  {
    id: "power/aborted",
    title: "what is aborted beforehand is not done",
    requires: [],
    async run({ fencing, host, hasPower }) {
      const aborted = AbortSignal.abort(new Error("no longer wanted"));
      await assert.rejects(fencing.powerOff(host, aborted));
      assert.ok(await hasPower());
      assert.equal(await fencing.power(host, never), "on");
    },
  },
];

/** What every fence device must do. */
export const fencingSuite: ConformanceSuite<FencingFixture> = {
  port: "Fencing",
  cases,
  capabilities: () => ({}),
};
