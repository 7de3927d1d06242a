import { describe, expect, it } from "vitest";
import { nextEvictionAt } from "../../src/operations/eviction-backoff.ts";
import { vm, vmWithDisk } from "../support/manifests.ts";
import { World } from "../support/world.ts";

const ON_FIRST = { nodeSelector: { "kubernetes.io/hostname": "node-1" } };

/** Two VMs on node-1, which may go anywhere. */
async function fullNode(): Promise<World> {
  const world = await World.open();
  for (const name of ["a", "b"]) {
    await world.apply(...vmWithDisk(name, ON_FIRST));
    await world.untilPhase("VirtualMachine", name, "Running");
    await world.apply(vm(name, [name]));
  }
  await world.pass(1_000);
  return world;
}

function hosts(world: World): string[] {
  return world.running().map(({ host = "" }) => host);
}

describe("a node", () => {
  it("that is drained is empty in the end, takes nothing, and takes VMs again after that", async () => {
    await using world = await fullNode();
    expect(hosts(world)).toEqual(["node-1", "node-1"]);
    let isDone = false;
    const draining = world.platform.nodes.drain("node-1").then(() => (isDone = true));
    await world.until("the end of the drain", () => isDone);
    await draining;
    expect(hosts(world)).toEqual(["node-2", "node-2"]);
    const operations = (await world.platform.virtualMachineOperations.list()).items;
    expect(operations.map(({ metadata }) => metadata.name.slice(0, 13)).sort()).toEqual([
      "evacuation-a-",
      "evacuation-b-",
    ]);
    await world.apply(...vmWithDisk("new"));
    await world.untilPhase("VirtualMachine", "new", "Running");
    expect(hosts(world)).toEqual(["node-2", "node-2", "node-2"]);
    await world.platform.nodes.uncordon("node-1");
    await world.apply(...vmWithDisk("newer", ON_FIRST));
    await world.untilPhase("VirtualMachine", "newer", "Running");
    await world.pass(600_000);
    expect(hosts(world)).toEqual(["node-2", "node-2", "node-2", "node-1"]);
  });

  it("that is only closed keeps its guests", async () => {
    await using world = await fullNode();
    await world.platform.nodes.cordon("node-1");
    await world.pass(600_000);
    expect(hosts(world)).toEqual(["node-1", "node-1"]);
  });

  it("with a guest that cannot be moved is held up, and says by whom", async () => {
    const storageClasses = [
      {
        name: "local",
        isDefault: true,
        uses: [{ accessMode: "ReadWriteOnce", volumeMode: "Block" }],
        bindingMode: "Immediate",
        expandable: true,
      },
    ] as const;
    await using world = await World.open({ storageClasses });
    await world.apply(...vmWithDisk("stuck"));
    await world.untilPhase("VirtualMachine", "stuck", "Running");
    await world.pass(1_000);
    const draining = world.platform.nodes.drain("node-1", { timeout: 60_000 });
    const outcome = draining.then(
      () => undefined,
      (error: unknown) => error,
    );
    await world.pass(61_000);
    expect(await outcome).toMatchObject({
      code: "POLYVISOR_TIMEOUT",
      message: expect.stringMatching(
        /^Node "node-1" was not empty within 60000 ms: VirtualMachine "default\/stuck": .*VirtualDisk "stuck"/,
      ),
    });
    expect(await world.message("VirtualMachine", "stuck", "EvictionRequired")).toBe(
      'Node "node-1" is to be emptied for maintenance.',
    );
    expect(hosts(world)).toEqual(["node-1"]);
  });

  it("with a taint that a guest does not tolerate is left by it", async () => {
    await using world = await fullNode();
    await world.apply(vm("b", ["b"], { tolerations: [{ operator: "Exists" }] }));
    await world.pass(1_000);
    await world.platform.nodes.patch("node-1", {
      spec: { taints: [{ key: "faulty", effect: "NoExecute" }] },
    });
    await world.until("the move", () => hosts(world)[0] === "node-2");
    await world.pass(600_000);
    expect(hosts(world)).toEqual(["node-2", "node-1"]);
  });

  it("is left by a guest whose VM is no longer to run there, without a restart", async () => {
    await using world = await fullNode();
    await world.apply(vm("a", ["a"], { nodeSelector: { "kubernetes.io/hostname": "node-2" } }));
    await world.until("the move", () => hosts(world)[0] === "node-2");
    const { status } = await world.vm("a");
    expect(status?.guest?.incarnation).toBe(1);
    expect(status?.restartAwaitingChanges).toBeUndefined();
    const operations = (await world.platform.virtualMachineOperations.list()).items;
    expect(operations[0]?.metadata.name).toMatch(/^nodeplacement-update-a-/);
  });
});

describe("attempts to move a guest", () => {
  it.each([
    [[], 0],
    [[[false, 1_000]], 0],
    [[[true, 1_000]], 3_000],
    [
      [
        [true, 1_000],
        [true, 5_000],
      ],
      9_000,
    ],
    [
      [
        [true, 1_000],
        [false, 2_000],
        [true, 5_000],
      ],
      7_000,
    ],
    [Array.from({ length: 12 }, (_, index) => [true, index * 1_000]), 311_000],
  ] as [[boolean, number][], number][])("after %j: from %d on", (past, expected) => {
    const ended = past.map(([failed, endedAt]) => ({ failed, endedAt }));
    expect(nextEvictionAt(ended)).toBe(expected);
  });
});
