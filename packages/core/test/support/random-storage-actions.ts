import { PolyvisorError } from "@polyvisor/core";
import { address } from "./manifests.ts";
import type { Chance } from "./random-actions.ts";
import { machineSnapshot, operation } from "./snapshots.ts";
import type { World } from "./world.ts";

const API = "virtualization.deckhouse.io/v1alpha2";

type Action = (world: World, chance: Chance) => Promise<void>;

/** What a user may be told no for, in the middle of all this. */
async function tolerant(work: Promise<unknown>): Promise<void> {
  try {
    await work;
  } catch (error) {
    if (!(error instanceof PolyvisorError)) throw error;
    if (!["POLYVISOR_INVALID", "POLYVISOR_NOT_FOUND"].includes(error.code)) throw error;
  }
}

function manifest(kind: string, name: string, spec: object): object {
  return { apiVersion: API, kind, metadata: { name }, spec };
}

function from(kind: string, name: string): object {
  return { dataSource: { type: "ObjectRef", objectRef: { kind, name } } };
}

const disk = (chance: Chance): string => `d-${chance.below(5)}`;
const machine = (chance: Chance): string => `vm-${chance.below(4)}`;
const one = (chance: Chance, prefix: string): string => `${prefix}-${chance.below(3)}`;

/** Sends something to every address that waits for it. */
async function sendUploads(world: World, chance: Chance): Promise<void> {
  async function* content(): AsyncGenerator<Uint8Array> {
    yield Buffer.from("boot");
    if (chance.below(4) === 0) throw new Error("the connection was reset");
    yield Buffer.from("root");
  }
  const { items } = await world.platform.virtualImages.list();
  for (const { status } of items) {
    const token = status?.imageUploadURLs?.external?.split("/").at(-1);
    if (token === undefined) continue;
    void world.platform.receiveUpload(token, { content: content() }).catch(() => {});
  }
}

function names(chance: Chance): object {
  return {
    mode: chance.of(["DryRun", "Strict", "BestEffort"]),
    customization: { namePrefix: "c-" },
  };
}

/** A machine that a snapshot can be taken of, if there is one. */
async function someMachine({ platform }: World, chance: Chance): Promise<string | undefined> {
  const { items } = await platform.virtualMachines.list();
  const usable = items.filter(
    ({ status }) => status?.phase === "Running" || status?.phase === "Stopped",
  );
  return usable[chance.below(Math.max(usable.length, 1))]?.metadata.name;
}

/** Restores a machine of which there is a snapshot, or takes one. */
const restoreSome: Action = async (world, chance) => {
  const { items } = await world.platform.virtualMachineSnapshots.list();
  const ready = items.filter(
    ({ metadata, status }) => status?.phase === "Ready" && metadata.name.startsWith("ms-"),
  );
  const snapshot = ready[chance.below(Math.max(ready.length, 1))];
  const name = chance.below(1_000);
  if (snapshot === undefined) {
    const found = await someMachine(world, chance);
    if (found === undefined) return;
    await tolerant(
      world.apply(machineSnapshot(one(chance, "ms"), found, { requiredConsistency: false })),
    );
    return;
  }
  const restore = {
    mode: chance.of(["Strict", "BestEffort"]),
    virtualMachineSnapshotName: snapshot.metadata.name,
  };
  const { virtualMachineName } = snapshot.spec;
  await tolerant(
    world.apply(operation(`restore-${name}`, "Restore", virtualMachineName, { restore })),
  );
};

/** Clones a machine, or makes one of a snapshot. */
const cloneSome: Action = async (world, chance) => {
  const found = await someMachine(world, chance);
  if (found === undefined) return;
  const clone = { mode: "Strict", customization: { namePrefix: `c${chance.below(9)}-` } };
  await tolerant(world.apply(operation(`clone-${chance.below(1_000)}`, "Clone", found, { clone })));
};

/** What happens to disks, images, snapshots and addresses. */
export const STORAGE_ACTIONS: readonly Action[] = [
  (world, chance) => {
    const spec = { virtualDiskName: disk(chance), requiredConsistency: chance.below(2) === 0 };
    return tolerant(world.apply(manifest("VirtualDiskSnapshot", one(chance, "ds"), spec)));
  },
  (world, chance) => tolerant(world.platform.virtualDiskSnapshots.delete(one(chance, "ds"))),
  (world, chance) => {
    const spec = { requiredConsistency: chance.below(2) === 0 };
    return tolerant(world.apply(machineSnapshot(one(chance, "ms"), machine(chance), spec)));
  },
  (world, chance) => tolerant(world.platform.virtualMachineSnapshots.delete(one(chance, "ms"))),
  (world, chance) => {
    const spec = from("VirtualDiskSnapshot", one(chance, "ds"));
    return tolerant(world.apply(manifest("VirtualDisk", disk(chance), spec)));
  },
  (world, chance) => {
    const spec = from("VirtualDisk", disk(chance));
    return tolerant(world.apply(manifest("VirtualImage", one(chance, "copy"), spec)));
  },
  (world, chance) => tolerant(world.platform.virtualImages.delete(one(chance, "copy"))),
  (world, chance) => {
    const spec = { dataSource: { type: "Upload" } };
    return tolerant(world.apply(manifest("VirtualImage", one(chance, "up"), spec)));
  },
  (world, chance) => tolerant(world.platform.virtualImages.delete(one(chance, "up"))),
  sendUploads,
  restoreSome,
  restoreSome,
  restoreSome,
  cloneSome,
  cloneSome,
  (world, chance) => {
    const restore = {
      mode: chance.of(["DryRun", "Strict", "BestEffort"]),
      virtualMachineSnapshotName: one(chance, "ms"),
    };
    const name = `restore-${chance.below(1_000)}`;
    return tolerant(world.apply(operation(name, "Restore", machine(chance), { restore })));
  },
  (world, chance) => {
    const name = `clone-${chance.below(1_000)}`;
    return tolerant(
      world.apply(operation(name, "Clone", machine(chance), { clone: names(chance) })),
    );
  },
  (world, chance) => {
    const spec = {
      type: "CreateVirtualMachine",
      virtualMachineSnapshotName: one(chance, "ms"),
      createVirtualMachine: names(chance),
    };
    const name = `make-${chance.below(1_000)}`;
    return tolerant(world.apply(manifest("VirtualMachineSnapshotOperation", name, spec)));
  },
  async (world, chance) => {
    const { items } = await world.platform.virtualMachineOperations.list();
    const found = items[chance.below(Math.max(items.length, 1))];
    if (found) await tolerant(world.platform.virtualMachineOperations.delete(found.metadata.name));
  },
  async (world, chance) => {
    for (const kind of ["VirtualMachine", "VirtualDisk"] as const) {
      const { items } = await world.platform.client(kind).list();
      const copies = items.filter(({ metadata }) => /^c\d?-/.test(metadata.name));
      const found = copies[chance.below(Math.max(copies.length, 1))];
      if (found) await tolerant(world.platform.client(kind).delete(found.metadata.name));
    }
  },
  (world, chance) => {
    const size = chance.of(["2Gi", "3Gi"]);
    const patch = { spec: { persistentVolumeClaim: { size } } };
    return tolerant(world.platform.virtualDisks.patch(disk(chance), patch));
  },
  (world, chance) => {
    const staticIP = `10.66.10.${20 + chance.below(3)}`;
    return tolerant(world.apply(address(one(chance, "fixed"), { type: "Static", staticIP })));
  },
  (world, chance) =>
    tolerant(world.platform.virtualMachineIPAddresses.delete(one(chance, "fixed"))),
  (world, chance) => {
    const mac = { address: `00:1a:2b:3c:4d:5${chance.below(3)}` };
    const spec = chance.below(2) === 0 ? {} : mac;
    return tolerant(world.apply(manifest("VirtualMachineMACAddress", one(chance, "mac"), spec)));
  },
  (world, chance) => tolerant(world.platform.virtualMachineMACAddresses.delete(one(chance, "mac"))),
  async (world) => {
    world.hypervisor.withAgents = !world.hypervisor.withAgents;
  },
];
