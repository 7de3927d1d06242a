import { describe, expect, it } from "vitest";
import { type Shape, SHAPES } from "./support/fixtures.ts";
import {
  blankDisk,
  diskOfImage,
  imageManifest,
  machine,
  openWorld,
  type World,
} from "./support/world.ts";

/** A VM with a disk of an image, running. */
async function running(placement: Shape): Promise<World> {
  const world = await openWorld({ placement });
  await world.platform.apply([
    imageManifest("ubuntu"),
    diskOfImage("web", "ubuntu"),
    machine("web", ["web"]),
  ]);
  await world.untilPhase("VirtualMachine", "web", "Running");
  await world.until("the agent answers", () => world.center.guest("web").state.agentConnected);
  return world;
}

/** Lets time pass until a later incarnation runs. */
function restarted(world: World, incarnation: number): Promise<unknown> {
  const { center, platform } = world;
  return world.until("a later incarnation runs", async () => {
    const guest = center.guests().find(({ name }) => name === "web");
    const { status } = await platform.virtualMachines.get("web");
    return (guest?.incarnation ?? 0) > incarnation && status?.phase === "Running";
  });
}

describe.each(SHAPES)("a platform on a data centre, %s placement", (shape) => {
  it("runs a VM with a disk of an image, and tells what its host tells", async () => {
    await using world = await running(shape);
    const { center, platform } = world;
    const { status } = await platform.virtualMachines.get("web");
    const { state, spec } = center.guest("web");
    expect(status).toMatchObject({
      phase: "Running",
      nodeName: state.host,
      ipAddress: "10.66.10.2",
    });
    expect(spec.interfaces[0]?.address).toBe("10.66.10.2");
    expect(Buffer.from(center.guest("web").read("vd-web", 0, 7)).toString()).toBe("made up");
    expect(center.violations()).toEqual([]);
  });

  it("starts a guest again that has crashed or rebooted, and not one that has shut down", async () => {
    await using world = await running(shape);
    world.center.guest("web").crash();
    await restarted(world, 1);
    world.center.guest("web").reboot();
    await restarted(world, 2);
    world.center.guest("web").shutDown();
    await world.untilPhase("VirtualMachine", "web", "Stopped");
    await world.center.clock.advance(3_600_000);
    expect(world.center.guests()).toEqual([]);
  });

  it("starts a guest again when its host is back from a reset", async () => {
    await using world = await running(shape);
    const { host = "" } = world.center.guest("web").state;
    world.center.host(host).reset();
    await restarted(world, 1);
    expect(world.center.violations()).toEqual([]);
  });

  it("leaves a guest alone whose host is cut off, whatever is asked for meanwhile", async () => {
    await using world = await running(shape);
    const { host = "" } = world.center.guest("web").state;
    const cut = world.center.cut(shape === "explicit" ? "manager" : "cluster", host);
    await world.center.clock.advance(3_600_000);
    expect(world.center.guests()).toMatchObject([{ name: "web", incarnation: 1, host }]);
    await world.platform.virtualMachines.delete("web");
    await world.center.clock.advance(600_000);
    expect(world.center.guests()).toMatchObject([{ name: "web", incarnation: 1, host }]);
    cut[Symbol.dispose]();
    await world.until("the guest is gone", () => world.center.guests().length === 0);
    expect(world.center.violations()).toEqual([]);
  });

  it("brings back what a disk held when its machine's snapshot was taken", async () => {
    await using world = await running(shape);
    const { center, platform } = world;
    const said = (text: string): void =>
      center.guest("web").write("vd-web", 4096, Buffer.from(text));
    said("before");
    const apiVersion = "virtualization.deckhouse.io/v1alpha2";
    await platform.apply([
      {
        apiVersion,
        kind: "VirtualMachineSnapshot",
        metadata: { name: "one" },
        spec: { virtualMachineName: "web", requiredConsistency: true, keepIPAddress: "Always" },
      },
    ]);
    await world.untilPhase("VirtualMachineSnapshot", "one", "Ready");
    const snapshots = center.log.lines().map((line) => JSON.parse(line) as object);
    expect(snapshots).toContainEqual(
      expect.objectContaining({ event: "snapshot-created", consistent: true }),
    );
    expect(center.guest("web").state.frozen).toBeUndefined();
    said("after!");
    await platform.apply([
      {
        apiVersion,
        kind: "VirtualMachineOperation",
        metadata: { name: "back" },
        spec: {
          type: "Restore",
          virtualMachineName: "web",
          restore: { mode: "Strict", virtualMachineSnapshotName: "one" },
        },
      },
    ]);
    await world.untilPhase("VirtualMachineOperation", "back", "Completed");
    await restarted(world, 1);
    expect(Buffer.from(center.guest("web").read("vd-web", 4096, 6)).toString()).toBe("before");
    expect((await platform.virtualMachines.get("web")).status?.ipAddress).toBe("10.66.10.2");
    expect(center.violations()).toEqual([]);
  });

  it("removes everything that was made", async () => {
    await using world = await running(shape);
    const { platform, center } = world;
    await platform.virtualMachines.delete("web");
    await platform.virtualDisks.delete("web");
    await platform.virtualImages.delete("ubuntu");
    await world.until("all is gone", async () => {
      const { items } = await platform.virtualImages.list();
      return items.length === 0 && center.storage("storage").volumes().length === 0;
    });
    expect(center.guests()).toEqual([]);
    const { guests } = (await center.clock.until(
      center.parts.backends
        .find((part) => part.hypervisor)
        ?.hypervisor?.guests(new AbortController().signal) ?? Promise.reject(new Error("none")),
    )) ?? { guests: [] };
    expect(guests).toEqual([]);
  });
});

describe.each(SHAPES)("a disk that lies on one host, %s placement", (placement) => {
  it("is made where its first machine runs, and keeps it there", async () => {
    const local = { name: "local", local: true, bindingMode: "WaitForFirstConsumer" } as const;
    const storages = [{ name: "storage", classes: [local] }];
    await using world = await openWorld({ placement, storages });
    const { center, platform } = world;
    await platform.apply([blankDisk("web")]);
    await world.untilPhase("VirtualDisk", "web", "WaitForFirstConsumer");
    await platform.apply([machine("web", ["web"])]);
    await world.untilPhase("VirtualMachine", "web", "Running");
    await world.untilPhase("VirtualDisk", "web", "Ready");
    const { host = "" } = center.guest("web").state;
    center.host(host).powerOff();
    await center.clock.advance(3_600_000);
    expect(center.guests()).toEqual([]);
    center.host(host).powerOn();
    await restarted(world, 1);
    expect(center.guest("web").state.host).toBe(host);
    expect(center.violations()).toEqual([]);
  });
});

describe("a cluster that has lost a host", () => {
  it("starts its guests elsewhere only when somebody says that the host is dead", async () => {
    await using world = await running("delegated");
    const { center } = world;
    const { host = "" } = center.guest("web").state;
    center.host(host).powerOff();
    await center.clock.advance(3_600_000);
    expect(center.guests()).toEqual([]);
    center.cluster.declareDead(host);
    await restarted(world, 1);
    expect(center.guest("web").state.host).not.toBe(host);
    center.host(host).powerOn();
    await center.clock.advance(600_000);
    expect(center.guests()).toHaveLength(1);
    expect(center.violations()).toEqual([]);
  });
});
