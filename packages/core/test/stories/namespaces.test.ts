import { describe, expect, it } from "vitest";
import { KINDS } from "../../src/api/kinds.ts";
import { address, blankDisk, vm } from "../support/manifests.ts";
import { World } from "../support/world.ts";

function into(namespace: string, manifest: object): object {
  const { metadata } = manifest as { metadata: object };
  return { ...manifest, metadata: { ...metadata, namespace } };
}

function names(world: World): Promise<string[]> {
  return world.platform.namespaces
    .list()
    .then(({ items }) => items.map(({ metadata, status }) => `${metadata.name} ${status?.phase}`));
}

describe("namespaces", () => {
  it("come into being with what is put into them", async () => {
    await using world = await World.open();
    await world.apply(into("shop", blankDisk("d")));
    await world.pass(10);
    expect(await names(world)).toEqual(["default Active", "shop Active"]);
  });

  it("can be made before anything is put into them", async () => {
    await using world = await World.open();
    const manifest = { apiVersion: "v1", kind: "Namespace", metadata: { name: "shop" } };
    await world.apply(manifest);
    await world.platform.namespaces.delete("shop");
    await world.untilGone("Namespace", "shop");
    await world.apply(manifest);
    await world.pass(10);
    expect(await names(world)).toEqual(["default Active", "shop Active"]);
  });

  it("take everything along when they are deleted, and leave the others alone", async () => {
    await using world = await World.open();
    await world.apply(
      into("shop", blankDisk("root")),
      into("shop", vm("front", ["root"])),
      into("shop", address("spare", { type: "Auto" })),
      into("shop", { apiVersion: "v1", kind: "Secret", metadata: { name: "key" } }),
      blankDisk("mine"),
    );
    await world.until("the VM runs", () => world.running().length === 1);
    await world.platform.namespaces.delete("shop");
    await expect(world.apply(into("shop", blankDisk("more")))).rejects.toThrow(
      "unable to create new content in namespace shop because it is being terminated",
    );
    await world.untilGone("Namespace", "shop");
    expect(world.running()).toEqual([]);
    for (const kind of Object.keys(KINDS) as (keyof typeof KINDS)[]) {
      const { items } = await world.store.list(kind, { namespace: "shop" });
      expect(items.map(({ metadata }) => metadata.name)).toEqual([]);
    }
    expect(await world.find("VirtualDisk", "mine")).toBeDefined();
  });

  it("say what holds up their deletion, and go on after a restart of the manager", async () => {
    await using world = await World.open();
    await world.apply(into("shop", blankDisk("root")), into("shop", vm("front", ["root"])));
    await world.until("the VM runs", () => world.running().length === 1);
    for (const host of ["node-1", "node-2"]) world.hypervisor.setReachable(host, false);
    await world.platform.namespaces.delete("shop");
    await world.pass(5000);
    const held = await world.platform.namespaces.get("shop");
    expect(held.status).toMatchObject({
      phase: "Terminating",
      conditions: [
        {
          type: "NamespaceContentRemaining",
          message: "Some resources are remaining: virtualmachines has 1 resource instances",
        },
      ],
    });
    await world.restart();
    for (const host of ["node-1", "node-2"]) world.hypervisor.setReachable(host, true);
    await world.untilGone("Namespace", "shop");
  });

  it("keep the default one", async () => {
    await using world = await World.open();
    await expect(world.platform.namespaces.delete("default")).rejects.toThrow(
      "the default namespace cannot be deleted",
    );
  });
});
