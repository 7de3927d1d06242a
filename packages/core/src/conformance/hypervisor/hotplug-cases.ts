import assert from "node:assert/strict";
import type { GuestDisk } from "../../backend/guest-spec.ts";
import type { Hotplug } from "../../backend/hotplug.ts";
import { failsWith, never } from "../expectations.ts";
import {
  eventually,
  type HypervisorCase,
  type HypervisorFixture,
  listed,
  running,
} from "./hypervisor-fixture.ts";

function facet({ hypervisor }: HypervisorFixture): Hotplug {
  assert.ok(hypervisor.hotplug, "the facet is missing");
  return hypervisor.hotplug;
}

function disk(fixture: HypervisorFixture): Promise<GuestDisk> {
  assert.ok(fixture.disk, "the fixture must have disk()");
  return fixture.disk("vd-data");
}

async function hasDisk(fixture: HypervisorFixture, uid: string): Promise<boolean | undefined> {
  return (await listed(fixture, uid))?.disks?.includes("vd-data");
}

/** Disks of guests that run. */
export const HOTPLUG_CASES: readonly HypervisorCase[] = [
  {
    id: "hotplug/disk",
    title: "a disk is plugged in and unplugged, each time once",
    requires: ["hotplug"],
    async run(fixture) {
      const { spec, where } = await running(fixture, "web");
      const plugged = await disk(fixture);
      await facet(fixture).attachDisk(spec, where.host, plugged, never);
      await facet(fixture).attachDisk(spec, where.host, plugged, never);
      assert.equal(await hasDisk(fixture, spec.uid), true);
      // The operating system must be up before it lets go of a disk.
      await eventually(fixture, "the guest lets go of the disk", () =>
        facet(fixture)
          .detachDisk(spec, where.host, plugged.name, never)
          .then(() => true)
          .catch((error: unknown) => {
            if (failsWith("POLYVISOR_TIMEOUT", "POLYVISOR_REFUSED")(error)) return false;
            throw error;
          }),
      );
      assert.equal(await hasDisk(fixture, spec.uid), false);
      await facet(fixture).detachDisk(spec, where.host, plugged.name, never);
      assert.equal((await listed(fixture, spec.uid))?.power, "running");
    },
  },
  {
    id: "hotplug/not-running",
    title: "nothing is plugged into a guest that does not run",
    requires: ["hotplug"],
    async run(fixture) {
      const { spec, where } = await running(fixture, "web");
      const plugged = await disk(fixture);
      await fixture.hypervisor.stopGuest(spec, where, "power-off", never);
      const attach = facet(fixture).attachDisk(spec, where.host, plugged, never);
      await assert.rejects(attach, failsWith("POLYVISOR_REFUSED"));
    },
  },
];
