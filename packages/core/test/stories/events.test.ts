import { describe, expect, it } from "vitest";
import { vmWithDisk } from "../support/manifests.ts";
import { World } from "../support/world.ts";

async function reasons(world: World, name: string): Promise<string[]> {
  const { items } = await world.platform.events.list({
    fieldSelector: { "involvedObject.name": name },
  });
  return items.map(({ type, reason, message }) => `${type} ${reason}: ${message}`).sort();
}

describe("events", () => {
  it("tell of hosts that come and go", async () => {
    await using world = await World.open();
    await world.pass(1000);
    expect(await reasons(world, "node-1")).toEqual(["Normal NodeReady: The host answers."]);
    world.hypervisor.setReachable("node-1", false);
    await world.pass(120_000);
    expect(await reasons(world, "node-1")).toEqual([
      "Normal NodeReady: The host answers.",
      expect.stringMatching(/^Warning NodeNotReady: The host does not answer: /),
    ]);
  });

  it("tell of what happens to a VM", async () => {
    await using world = await World.open();
    await world.apply(...vmWithDisk("linux"));
    await world.untilPhase("VirtualMachine", "linux", "Running");
    const restarting = world.platform.virtualMachines.restart("linux", { force: true });
    await world.pass(10_000);
    await restarting;
    const stopping = world.platform.virtualMachines.stop("linux", { force: true });
    await world.pass(10_000);
    await stopping;
    const { items } = await world.platform.events.list({
      fieldSelector: {
        "involvedObject.name": "linux",
        "involvedObject.kind": "VirtualMachine",
      },
    });
    expect(items.map(({ reason, message }) => `${reason}: ${message}`).sort()).toEqual([
      "Restarted: Restart initiated by VirtualMachineOperation for AlwaysOnUnlessStoppedManually runPolicy",
      "Started: Start on create initiated by controller for AlwaysOnUnlessStoppedManually policy",
      "Stopped: Stop initiated by VirtualMachineOperation for AlwaysOnUnlessStoppedManually runPolicy",
    ]);
  });

  it("tell of classes whose sizes or nodes change", async () => {
    await using world = await World.open();
    const vmClass = (spec: object): object => ({
      apiVersion: "virtualization.deckhouse.io/v1alpha3",
      kind: "VirtualMachineClass",
      metadata: { name: "small" },
      spec: { cpu: { type: "Host" }, ...spec },
    });
    await world.apply(vmClass({}));
    await world.pass(1000);
    await world.apply(vmClass({ sizingPolicies: [{ cores: { min: 1, max: 4 } }] }));
    await world.pass(1000);
    await world.apply(vmClass({ nodeSelector: { matchLabels: { disk: "ssd" } } }));
    await world.pass(1000);
    await world.platform.nodes.patch("node-1", { metadata: { labels: { disk: "ssd" } } });
    await world.pass(1000);
    expect(await reasons(world, "small")).toEqual([
      "Normal NodesWereUpdated: VMs of the class can run on node-1.",
      "Normal SizingPoliciesWereChanged: The sizing policies of the class were changed.",
      "Warning AvailableNodesListEmpty: No node is left that VMs of the class can run on.",
    ]);
  });
});
