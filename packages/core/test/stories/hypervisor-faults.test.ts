import { PolyvisorError } from "@polyvisor/core";
import { describe, expect, it } from "vitest";
import { vm, vmWithDisk } from "../support/manifests.ts";
import { World } from "../support/world.ts";

const AWAY = new PolyvisorError("POLYVISOR_UNAVAILABLE", "the host does not answer");
const LOST = new PolyvisorError("POLYVISOR_OUTCOME_UNKNOWN", "the answer was lost");
const REFUSED = new PolyvisorError("POLYVISOR_REFUSED", "no such CPU model");
const ODD = new Error("something odd");

const VERBS = ["startGuest", "stopGuest", "removeGuest", "hosts", "guests"];
const CASES = VERBS.flatMap((verb) => [
  { verb, when: "before" as const, error: AWAY },
  { verb, when: "before" as const, error: ODD },
  { verb, when: "after" as const, error: LOST },
  { verb, when: "after" as const, error: ODD },
]).flatMap((fault) => [1, 4].map((times) => ({ ...fault, times })));

describe("a hypervisor that fails", () => {
  it.each(CASES)(
    "$when $verb with $error.message, $times times, changes nothing",
    async (fault) => {
      await using world = await World.open();
      world.hypervisorFaults.rules.push(fault);
      await world.apply(...vmWithDisk("linux", { terminationGracePeriodSeconds: 0 }));
      const { metadata, status } = await world.untilPhase("VirtualMachine", "linux", "Running");
      expect(world.running()).toMatchObject([{ uid: metadata.uid, incarnation: 1 }]);
      expect(status?.guest?.incarnation).toBe(1);
      await world.apply(
        vm("linux", ["linux"], { runPolicy: "AlwaysOff", terminationGracePeriodSeconds: 0 }),
      );
      await world.untilPhase("VirtualMachine", "linux", "Stopped");
      expect(world.running()).toEqual([]);
      await world.platform.virtualMachines.delete("linux");
      await world.untilGone("VirtualMachine", "linux");
      expect((await world.hypervisor.guests()).guests).toEqual([]);
    },
  );

  it("for long at removeGuest leaves a VM that does not claim to run any more", async () => {
    await using world = await World.open();
    world.hypervisorFaults.rules.push({ verb: "removeGuest", error: AWAY, times: 8 });
    await world.apply(...vmWithDisk("linux"));
    await world.untilPhase("VirtualMachine", "linux", "Running");
    const { metadata } = await world.vm("linux");
    await world.stop();
    world.hypervisor.endGuest(metadata.uid, "crashed");
    await world.store.delete("VirtualMachine", metadata);
    await world.start();
    await world.pass(1_000);
    const { status } = await world.vm("linux");
    expect(status).toMatchObject({ phase: "Terminating", guest: { state: "Stopped" } });
    expect(await world.message("VirtualMachine", "linux", "Running")).toBe(AWAY.message);
    await world.untilGone("VirtualMachine", "linux");
  });

  it("says why the guest does not start while it is asked for again on the same host", async () => {
    await using world = await World.open();
    world.hypervisorFaults.rules.push({ verb: "startGuest", error: LOST, times: 6 });
    await world.apply(...vmWithDisk("linux"));
    await world.pass(300);
    const { status } = await world.vm("linux");
    expect(status?.phase).toBe("Starting");
    expect(await world.message("VirtualMachine", "linux", "Running")).toBe("the answer was lost");
    const { guest } = (await world.untilPhase("VirtualMachine", "linux", "Running")).status ?? {};
    expect(guest).toMatchObject({ host: status?.guest?.host, incarnation: 1 });
    expect(world.running()).toHaveLength(1);
  });

  it("that says no is asked again with growing pauses and a new incarnation", async () => {
    await using world = await World.open();
    world.hypervisorFaults.rules.push({ verb: "startGuest", error: REFUSED, times: 3 });
    await world.apply(...vmWithDisk("linux"));
    await world.pass(100);
    expect((await world.vm("linux")).status).toMatchObject({
      phase: "Pending",
      guest: { state: "Stopped", stopReason: "StartFailed", failures: 2, incarnation: 2 },
    });
    expect(await world.message("VirtualMachine", "linux", "Running")).toMatch(
      /starting it again in \d+ s/,
    );
    await world.pass(9_000);
    expect(world.running()).toEqual([]);
    await world.pass(30_000);
    expect((await world.vm("linux")).status?.guest).toMatchObject({
      state: "Running",
      incarnation: 4,
    });
  });
});

describe("a host that is cut off", () => {
  it("leaves the VM Unknown, starts no second guest, and all is well when it is back", async () => {
    await using world = await World.open();
    await world.apply(...vmWithDisk("linux"));
    const before = await world.untilPhase("VirtualMachine", "linux", "Running");
    await world.pass(60_000);
    world.hypervisor.setReachable("node-1", false);
    await world.pass(3_600_000);
    const cut = await world.vm("linux");
    expect(cut.status).toMatchObject({ phase: "Running", guest: before.status?.guest ?? {} });
    expect(cut.status?.conditions.find(({ type }) => type === "Running")).toMatchObject({
      status: "Unknown",
      reason: "HostNotReachable",
    });
    expect(world.running()).toHaveLength(1);
    const node = await world.platform.nodes.get("node-1");
    expect(node.status?.conditions[0]).toMatchObject({
      type: "Ready",
      status: "False",
      message: "The host does not answer: cut off by the test",
    });
    world.hypervisor.setReachable("node-1", true);
    await world.pass(0);
    const back = await world.vm("linux");
    expect(back.status?.conditions.find(({ type }) => type === "Running")?.status).toBe("True");
    expect(back.status?.guest).toEqual(before.status?.guest);
    expect(back.status?.stats).toEqual(before.status?.stats);
  });

  it("is seen to have ended the guest meanwhile, and then the guest starts again", async () => {
    await using world = await World.open();
    await world.apply(...vmWithDisk("linux"));
    const { metadata } = await world.untilPhase("VirtualMachine", "linux", "Running");
    world.hypervisor.setReachable("node-1", false);
    await world.pass(1_000);
    world.hypervisor.endGuest(metadata.uid, "crashed");
    await world.pass(60_000);
    expect(world.running()).toEqual([]);
    world.hypervisor.setReachable("node-1", true);
    await world.until("a new incarnation", () => world.running()[0]?.incarnation === 2);
  });

  it("holds up stopping and deletion, and the VM says so", async () => {
    await using world = await World.open();
    await world.apply(...vmWithDisk("linux"));
    await world.untilPhase("VirtualMachine", "linux", "Running");
    world.hypervisor.setReachable("node-1", false);
    await world.apply(vm("linux", ["linux"], { runPolicy: "AlwaysOff" }));
    await world.pass(120_000);
    expect((await world.vm("linux")).status?.phase).toBe("Stopping");
    const message = (): Promise<string | undefined> =>
      world.message("VirtualMachine", "linux", "Running");
    expect(await message()).toBe('host "node-1" does not answer');
    await world.platform.virtualMachines.delete("linux");
    await world.pass(120_000);
    expect((await world.vm("linux")).status?.phase).toBe("Terminating");
    expect(await message()).toBe('host "node-1" does not answer');
    expect(world.running()).toHaveLength(1);
    world.hypervisor.setReachable("node-1", true);
    await world.untilGone("VirtualMachine", "linux");
    expect((await world.hypervisor.guests()).guests).toEqual([]);
  });

  it("gets no new guests", async () => {
    await using world = await World.open();
    world.hypervisor.setReachable("node-1", false);
    await world.pass(0);
    await world.apply(...vmWithDisk("linux"));
    const { status } = await world.untilPhase("VirtualMachine", "linux", "Running");
    expect(status?.nodeName).toBe("node-2");
  });
});

describe("hosts", () => {
  it("report guests that are not ours, which are never touched", async () => {
    await using world = await World.open();
    world.hypervisor.addUnknownGuest("node-2", "someone-elses");
    await world.apply(...vmWithDisk("linux"));
    await world.untilPhase("VirtualMachine", "linux", "Running");
    const node = await world.platform.nodes.waitFor("node-2", { condition: "UnknownGuests" });
    expect(node.status?.unknownGuests).toEqual(["someone-elses"]);
    expect(node.status?.conditions[1]?.message).toBe(
      "Guests that are not known here run on the host and are left alone: someone-elses.",
    );
    await world.restart();
    await world.pass(600_000);
    const [, host] = await world.hypervisor.hosts();
    expect(host?.unknownGuests).toEqual(["someone-elses"]);
  });

  it("report guests with our mark of which there is no VM, which are never touched either", async () => {
    await using world = await World.open();
    await world.apply(...vmWithDisk("linux"));
    const { metadata } = await world.untilPhase("VirtualMachine", "linux", "Running");
    const spec = world.hypervisor.guest(metadata.uid)?.spec;
    await world.stop();
    const orphan = { ...spec, uid: "another", name: "orphan" } as NonNullable<typeof spec>;
    const signal = AbortSignal.timeout(5_000);
    await world.hypervisor.startGuest(orphan, { host: "node-2" }, signal);
    await world.start();
    const node = await world.platform.nodes.waitFor("node-2", { condition: "UnknownGuests" });
    expect(node.status?.unknownGuests).toEqual(["default/orphan"]);
    await world.pass(600_000);
    expect(world.running().map(({ name }) => name)).toEqual(["linux", "orphan"]);
  });

  it("are not promised more memory than they have, also by many starts at once", async () => {
    await using world = await World.open({ memoryBytes: 4 * 2 ** 30 });
    const names = Array.from({ length: 12 }, (_, index) => `vm-${index}`);
    const spec = { virtualMachineClassName: "late" };
    await world.apply(...names.flatMap((name) => vmWithDisk(name, spec)));
    await world.pass(1_000);
    await world.platform.virtualMachineClasses.create({
      metadata: { name: "late" },
      spec: { cpu: { type: "Host" } },
    });
    await world.until("all that fit", () => world.running().length >= 8);
    await world.pass(60_000);
    const hosts = world.running().map(({ host = "" }) => host);
    expect(hosts.toSorted()).toEqual([...Array(4).fill("node-1"), ...Array(4).fill("node-2")]);
    await world.platform.virtualMachines.delete(world.running()[0]?.name ?? "");
    await world.until("another one", () => world.running().length === 7);
    await world.until("the next in its place", () => world.running().length === 8);
  });
});
