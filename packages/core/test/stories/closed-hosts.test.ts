import { type HostState, resourceTable } from "@polyvisor/core";
import { FakeHypervisor } from "@polyvisor/core/testing";
import { expect, it } from "vitest";
import { vmWithDisk } from "../support/manifests.ts";
import { World } from "../support/world.ts";

/** Of its two hosts the first is closed, and the second has a taint. */
class ClosedHosts extends FakeHypervisor {
  override async hosts(): Promise<readonly HostState[]> {
    const hosts = await super.hosts();
    return hosts.map((host) =>
      host.name === "node-1"
        ? { ...host, schedulable: false }
        : { ...host, taints: [{ key: "gpu", effect: "NoSchedule" as const }] },
    );
  }
}

it("what a hypervisor itself keeps guests away from is shown, and kept to", async () => {
  const hypervisor = new ClosedHosts({ hosts: ["node-1", "node-2"] });
  await using world = await World.open({ hypervisor });
  await world.apply(...vmWithDisk("plain"));
  await world.apply(
    ...vmWithDisk("tolerant", { tolerations: [{ key: "gpu", operator: "Exists" }] }),
  );
  await world.untilPhase("VirtualMachine", "tolerant", "Running");
  expect((await world.vm("tolerant")).status?.nodeName).toBe("node-2");
  expect((await world.vm("plain")).status?.phase).toBe("Pending");
  const { items } = await world.platform.nodes.list();
  const { rows } = resourceTable("Node", items, { now: world.clock.now() });
  expect(rows.map(([name, status]) => `${name} ${status}`)).toEqual([
    "node-1 Ready,SchedulingDisabled",
    "node-2 Ready",
  ]);
  expect(items[1]?.status?.taints).toEqual([{ key: "gpu", effect: "NoSchedule" }]);
});
