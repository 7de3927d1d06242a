import type { VirtualDisk, VirtualMachine, VirtualMachinePool } from "@polyvisor/core";
import { describe, expect, it } from "vitest";
import { World } from "../support/world.ts";

const API = "virtualization.deckhouse.io/v1alpha2";

interface PoolOptions {
  readonly replicas?: number;
  readonly policy?: string;
  readonly reclaim?: object;
  readonly spec?: object;
}

function pool({ replicas = 2, policy = "NewestFirst", reclaim, spec }: PoolOptions = {}): object {
  return {
    apiVersion: API,
    kind: "VirtualMachinePool",
    metadata: { name: "web" },
    spec: {
      replicas,
      scaleDownPolicy: policy,
      virtualDiskTemplates: [
        {
          name: "root",
          spec: { persistentVolumeClaim: { size: "1Gi" } },
          ...(reclaim && { reclaim }),
        },
      ],
      virtualMachineTemplate: {
        metadata: { labels: { app: "web" } },
        spec: {
          virtualMachineClassName: "host",
          cpu: { cores: 1 },
          memory: { size: "1Gi" },
          blockDeviceRefs: [{ kind: "VirtualDisk", name: "root" }],
          ...spec,
        },
      },
    },
  };
}

async function members(world: World): Promise<readonly VirtualMachine[]> {
  const { items } = await world.platform.virtualMachines.list();
  return items;
}

async function names(world: World): Promise<string[]> {
  return (await members(world)).map(({ metadata }) => metadata.name);
}

async function disks(world: World): Promise<readonly VirtualDisk[]> {
  return (await world.platform.virtualDisks.list()).items;
}

function settled(world: World, replicas: number): Promise<VirtualMachinePool> {
  return world.until(`${replicas} replicas`, async () => {
    const found = await world.find("VirtualMachinePool", "web");
    const done =
      found?.status?.replicas === replicas &&
      found.status.readyReplicas === replicas &&
      found.status.observedGeneration === found.metadata.generation;
    return done ? found : undefined;
  });
}

describe("a pool", () => {
  it("makes VMs with disks of their own, and says how many there are", async () => {
    await using world = await World.open();
    await world.apply(pool());
    const { status } = await settled(world, 2);
    for (const { metadata, spec } of await members(world)) {
      expect(metadata.name).toMatch(/^web-[bcdfghjklmnpqrstvwxz2456789]{5}$/);
      expect(metadata.labels).toMatchObject({ app: "web" });
      expect(spec.blockDeviceRefs).toEqual([
        { kind: "VirtualDisk", name: `${metadata.name}-root` },
      ]);
    }
    expect(status).toMatchObject({
      replicas: 2,
      readyReplicas: 2,
      updatedReplicas: 2,
      restartPendingReplicas: 0,
      selector: "virtualmachinepool.virtualization.deckhouse.io/name=web",
    });
    expect(status?.conditions.map(({ type, reason }) => `${type} ${reason}`)).toEqual([
      "Available AllReplicasReady",
      "Synced PoolSynced",
    ]);
  });

  it("replaces a VM that is deleted", async () => {
    await using world = await World.open();
    await world.apply(pool());
    await settled(world, 2);
    const [victim = "", other] = await names(world);
    await world.platform.virtualMachines.delete(victim);
    await world.untilGone("VirtualMachine", victim);
    await settled(world, 2);
    const now = await names(world);
    expect(now).toContain(other);
    expect(now).not.toContain(victim);
  });

  it.each(["NewestFirst", "OldestFirst"])("is scaled down %s, disks included", async (policy) => {
    await using world = await World.open();
    await world.apply(pool({ replicas: 1, policy }));
    await settled(world, 1);
    const [oldest] = await names(world);
    await world.pass(5000);
    await world.platform.virtualMachinePools.scale("web", 2);
    await settled(world, 2);
    await world.platform.virtualMachinePools.scale("web", 1);
    await settled(world, 1);
    const [left] = await names(world);
    expect(left === oldest).toBe(policy === "NewestFirst");
    await world.until("the disk goes too", async () => (await disks(world)).length === 1);
  });

  it("that is Explicit is scaled down by name alone", async () => {
    await using world = await World.open();
    await world.apply(pool({ replicas: 3, policy: "Explicit" }));
    await settled(world, 3);
    const pools = world.platform.virtualMachinePools;
    await expect(pools.scale("web", 2)).rejects.toThrow(
      'VirtualMachinePool "default/web" is invalid: spec.replicas: a pool with scaleDownPolicy Explicit cannot be scaled down without naming the replicas to remove: use scaleDownWith',
    );
    const [first = "", second = "", third = ""] = await names(world);
    await expect(pools.scaleDownWith("web", ["stranger"])).rejects.toThrow(
      `VirtualMachine "stranger" is no member of VirtualMachinePool "web": its members are ${first}, ${second}, ${third}`,
    );
    await pools.scaleDownWith("web", [second]);
    await settled(world, 2);
    expect(await names(world)).toEqual([first, third]);
    expect((await pools.get("web")).metadata.annotations).toEqual({});
    await pools.scale("web", 3);
    await settled(world, 3);
  });

  it("reuses disks that outlive their VMs, and removes them after a while", async () => {
    await using world = await World.open();
    const reclaim = { onScaleDown: "Retain", keep: 1, ttl: "30m" };
    await world.apply(pool({ replicas: 3, reclaim }));
    await settled(world, 3);
    const made = (await disks(world)).map(({ metadata }) => metadata.name);
    expect(made).toHaveLength(3);
    await world.platform.virtualMachinePools.scale("web", 1);
    await settled(world, 1);
    expect(await disks(world)).toHaveLength(3);
    await world.platform.virtualMachinePools.scale("web", 2);
    await settled(world, 2);
    expect((await disks(world)).map(({ metadata }) => metadata.name)).toEqual(made);
    await world.platform.virtualMachinePools.scale("web", 0);
    await settled(world, 0);
    await world.pass(29 * 60_000);
    expect((await disks(world)).length).toBeGreaterThan(1);
    await world.pass(5 * 60_000);
    expect(await disks(world)).toHaveLength(1);
  });

  it("makes its VMs like the template when that changes", async () => {
    await using world = await World.open();
    await world.apply(pool());
    const before = await settled(world, 2);
    await world.apply(pool({ spec: { memory: { size: "2Gi" } } }));
    const after = await world.until("a roll-out", async () => {
      const found = await world.find("VirtualMachinePool", "web");
      const hash = found?.status?.desiredTemplateHash;
      return hash !== before.status?.desiredTemplateHash ? found : undefined;
    });
    expect(after.status?.desiredTemplateHash).toMatch(/^[0-9a-f]{10}$/);
    await world.until("VMs like it", async () =>
      (await members(world)).every(({ spec }) => spec.memory.size === "2Gi"),
    );
    await world.until("VMs that wait for a restart", async () => {
      const { status } = await world.platform.virtualMachinePools.get("web");
      return status?.restartPendingReplicas === 2 && status.updatedReplicas === 0;
    });
    expect(await world.message("VirtualMachinePool", "web", "Synced")).toBe(
      "2 replicas wait for a restart to be like the present template.",
    );
  });

  it("takes its VMs and disks along when it is deleted", async () => {
    await using world = await World.open();
    await world.apply(pool({ reclaim: { onScaleDown: "Retain" } }));
    await settled(world, 2);
    await world.platform.virtualMachinePools.delete("web");
    await world.until("all gone", async () => {
      const left = [...(await members(world)), ...(await disks(world))];
      return left.length === 0;
    });
    expect(world.running()).toEqual([]);
  });

  it("has as many VMs after a manager that died at any write of it", async () => {
    for (let writes = 0; writes < 16; writes += 1) {
      await using world = await World.open();
      world.writesLeft = writes;
      await world.apply(pool({ reclaim: { onScaleDown: "Retain" } })).catch(() => {});
      await world.pass(2000);
      world.writesLeft = Number.POSITIVE_INFINITY;
      await world.restart();
      await world.apply(pool({ reclaim: { onScaleDown: "Retain" } }));
      await settled(world, 2);
      expect([await members(world), await disks(world)].map(({ length }) => length)).toEqual([
        2, 2,
      ]);
    }
  });

  it("gives every VM what the class decides", async () => {
    await using world = await World.open();
    await world.apply(pool({ replicas: 1, spec: { virtualMachineClassName: "generic" } }));
    await settled(world, 1);
    const [member] = await members(world);
    expect(member?.spec.cpu.coreFraction).toBe("100%");
    await expect(
      world.apply(
        pool({
          spec: { virtualMachineClassName: "generic", cpu: { cores: 8, coreFraction: "5%" } },
        }),
      ),
    ).rejects.toThrow(
      'spec.virtualMachineTemplate.spec: does not match the sizing policy of VirtualMachineClass "generic"',
    );
  });
});
