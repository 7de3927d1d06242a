import {
  memoryStore,
  type ResourceStore,
  type VirtualDisk,
  type VirtualMachine,
} from "@polyvisor/core";
import { describe, expect, it } from "vitest";
import { claimDisk } from "../../src/controllers/disk-users.ts";
import { disk, machine, machineSpec, record } from "../support/resources.ts";

async function storeMachine(
  store: ResourceStore,
  name: string,
  state: "Starting" | "Running" | "Stopped",
  disks: readonly string[] = ["root"],
): Promise<VirtualMachine> {
  const blockDeviceRefs = disks.map((ref) => ({ kind: "VirtualDisk" as const, name: ref }));
  const created = await store.create("VirtualMachine", machine(name));
  const active = state !== "Stopped";
  const guest = record(state, { ...(active && { appliedSpec: machineSpec({ blockDeviceRefs }) }) });
  const status = { phase: "Pending" as const, conditions: [], observedGeneration: 1, guest };
  return store.updateStatus("VirtualMachine", { ...created, status });
}

async function storeDisk(store: ResourceStore, holder?: string): Promise<VirtualDisk> {
  const created = await store.create("VirtualDisk", {
    ...disk("root"),
    metadata: { name: "root", namespace: "default", finalizers: ["some/cleanup"] },
  });
  const users = holder === undefined ? [] : [{ name: holder, mounted: true }];
  const status = disk("root", {}, { phase: "Ready", attachedToVirtualMachines: users }).status;
  if (status === undefined) throw new Error("the disk has no status");
  return store.updateStatus("VirtualDisk", { ...created, status });
}

async function holders(store: ResourceStore): Promise<string[]> {
  const stored = await store.get("VirtualDisk", { name: "root", namespace: "default" });
  const users = stored?.status?.attachedToVirtualMachines ?? [];
  return users.filter(({ mounted }) => mounted).map(({ name }) => name);
}

describe("claimDisk", () => {
  it("makes a VM the holder, once", async () => {
    const store = memoryStore();
    const free = await storeDisk(store);
    const vm = await storeMachine(store, "a", "Starting");
    await claimDisk(store, free, vm);
    expect(await holders(store)).toEqual(["a"]);
    const held = await store.get("VirtualDisk", free.metadata);
    if (held) await claimDisk(store, held, vm);
    expect((await store.get("VirtualDisk", free.metadata))?.metadata.resourceVersion).toBe(
      held?.metadata.resourceVersion,
    );
  });

  it.each(["Starting", "Running"] as const)(
    "is refused while another VM is %s with it",
    async (state) => {
      const store = memoryStore();
      await storeMachine(store, "b", state);
      const held = await storeDisk(store, "b");
      const claim = claimDisk(store, held, await storeMachine(store, "a", "Starting"));
      await expect(claim).rejects.toMatchObject({
        code: "POLYVISOR_REFUSED",
        message:
          'VirtualDisk "root" is in use by VirtualMachine "b": stop that VM or remove the disk from one of them',
      });
      expect(await holders(store)).toEqual(["b"]);
    },
  );

  it.each<[string, (store: ResourceStore) => Promise<unknown>]>([
    ["has stopped", (store) => storeMachine(store, "b", "Stopped")],
    ["runs with other disks", (store) => storeMachine(store, "b", "Running", ["other"])],
    ["is gone", async () => {}],
  ])("takes over from a VM that %s", async (_, prepare) => {
    const store = memoryStore();
    await prepare(store);
    const held = await storeDisk(store, "b");
    await claimDisk(store, held, await storeMachine(store, "a", "Starting"));
    expect(await holders(store)).toEqual(["a"]);
  });

  it("is refused for a disk that is being deleted, unless the VM has it already", async () => {
    const store = memoryStore();
    const vm = await storeMachine(store, "a", "Starting");
    const { metadata } = await storeDisk(store);
    await store.delete("VirtualDisk", metadata);
    const deleting = await store.get("VirtualDisk", metadata);
    if (deleting?.status === undefined) throw new Error("the disk is gone");
    await expect(claimDisk(store, deleting, vm)).rejects.toMatchObject({
      code: "POLYVISOR_REFUSED",
      message: 'VirtualDisk "root" is being deleted: name another disk',
    });
    const attachedToVirtualMachines = [{ name: "a", mounted: true }];
    const status = { ...deleting.status, attachedToVirtualMachines };
    await claimDisk(store, await store.updateStatus("VirtualDisk", { ...deleting, status }), vm);
    expect(await holders(store)).toEqual(["a"]);
  });

  it("does not overwrite what has changed since the disk was read", async () => {
    const store = memoryStore();
    const read = await storeDisk(store);
    await claimDisk(store, read, await storeMachine(store, "b", "Starting"));
    const late = claimDisk(store, read, await storeMachine(store, "a", "Starting"));
    await expect(late).rejects.toMatchObject({ code: "POLYVISOR_CONFLICT" });
    expect(await holders(store)).toEqual(["b"]);
  });
});
