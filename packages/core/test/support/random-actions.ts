import { PolyvisorError, type StopReason } from "@polyvisor/core";
import {
  address,
  attachment,
  blankDisk,
  diskOfImage,
  imageManifest,
  operation,
  vm,
} from "./manifests.ts";
import { STORAGE_ACTIONS } from "./random-storage-actions.ts";
import type { World } from "./world.ts";

/** Numbers from a seed: a linear congruential generator with a mixed output. */
export class Chance {
  #state: number;

  constructor(seed: number) {
    this.#state = (seed * 2_654_435_761 + 1) >>> 0;
  }

  /** A whole number from 0 to `count - 1`. */
  below(count: number): number {
    this.#state = (Math.imul(this.#state, 1_664_525) + 1_013_904_223) >>> 0;
    const mixed = Math.imul(this.#state ^ (this.#state >>> 16), 0x45d9f3b) >>> 0;
    return (mixed >>> 8) % count;
  }

  of<T>(choices: readonly [T, ...T[]]): T {
    return choices[this.below(choices.length)] ?? choices[0];
  }
}

const UNAVAILABLE = new PolyvisorError("POLYVISOR_UNAVAILABLE", "no answer");
const UNKNOWN = new PolyvisorError("POLYVISOR_OUTCOME_UNKNOWN", "the answer was lost");
const REFUSED = new PolyvisorError("POLYVISOR_REFUSED", "no");
const ODD = new Error("something odd");

const HYPERVISOR_VERBS = [
  "startGuest",
  "stopGuest",
  "removeGuest",
  "hosts",
  "guests",
  "attachDisk",
  "detachDisk",
  // Of migrations.
  "start",
  "cancel",
  "freeze",
  "thaw",
] as const;
const STORAGE_VERBS = [
  "createVolume",
  "deleteVolume",
  "attach",
  "detach",
  "getVolume",
  "fill",
  "read",
  "expand",
  "create",
] as const;
const POLICIES = ["AlwaysOn", "AlwaysOnUnlessStoppedManually", "Manual", "AlwaysOff"] as const;
const REASONS: readonly [StopReason, ...StopReason[]] = [
  "guest-shutdown",
  "guest-reset",
  "crashed",
  "stopped",
];
const OPERATIONS = ["Start", "Stop", "Restart", "Migrate", "Migrate", "Evict"] as const;

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

const applyVm: Action = async (world, chance) => {
  const disks = new Set([`d-${chance.below(5)}`, `d-${chance.below(5)}`]);
  const spec = {
    runPolicy: chance.of(POLICIES),
    terminationGracePeriodSeconds: chance.of([0, 20]),
    memory: { size: chance.of(["1Gi", "3Gi"]) },
    ...(chance.below(3) === 0 && { virtualMachineIPAddressName: "shared" }),
    ...(chance.below(4) === 0 && { disruptions: { restartApprovalMode: "Automatic" } }),
  };
  await tolerant(world.apply(vm(`vm-${chance.below(4)}`, [...disks], spec)));
};

const operate: Action = (world, chance) => {
  const type = chance.of(OPERATIONS);
  const force = type !== "Start" && chance.below(3) === 0;
  const spec = force ? { force } : {};
  const name = `op-${chance.below(1_000_000)}`;
  return tolerant(world.apply(operation(name, type, `vm-${chance.below(4)}`, spec)));
};

const plug: Action = (world, chance) => {
  const name = `attach-${chance.below(4)}`;
  const wish = attachment(name, `vm-${chance.below(4)}`, `d-${chance.below(5)}`);
  return chance.below(3) === 0
    ? tolerant(world.platform.virtualMachineBlockDeviceAttachments.delete(name))
    : tolerant(world.apply(wish));
};

const ACTIONS: readonly [Action, ...Action[]] = [
  operate,
  operate,
  operate,
  plug,
  plug,
  async (world, chance) => {
    const { items } = await world.platform.virtualMachineOperations.list();
    const one = items[chance.below(Math.max(items.length, 1))];
    if (one) await tolerant(world.platform.virtualMachineOperations.delete(one.metadata.name));
  },
  async (world, chance) => {
    const { migration } = world.hypervisor;
    if (migration) migration.hold = chance.below(3) > 0;
  },
  async (world, chance) => endMigrations(world, () => chance.of(["succeeded", "failed"])),
  (world, chance) => {
    const name = `node-${1 + chance.below(2)}`;
    const { nodes } = world.platform;
    return tolerant(chance.below(3) === 0 ? nodes.cordon(name) : nodes.uncordon(name));
  },
  applyVm,
  applyVm,
  applyVm,
  (world, chance) => {
    const name = `d-${chance.below(5)}`;
    return tolerant(world.apply(chance.below(2) === 0 ? blankDisk(name) : diskOfImage(name)));
  },
  (world, chance) => tolerant(world.platform.virtualMachines.delete(`vm-${chance.below(4)}`)),
  (world, chance) => tolerant(world.platform.virtualDisks.delete(`d-${chance.below(5)}`)),
  (world) => tolerant(world.apply(address("shared", { type: "Auto" }))),
  (world) => tolerant(world.apply(imageManifest())),
  (world, chance) =>
    chance.below(3) > 0
      ? Promise.resolve()
      : tolerant(world.platform.virtualImages.delete("ubuntu")),
  async (world, chance) => {
    const running = world.running();
    const guest = running[chance.below(Math.max(running.length, 1))];
    if (guest) world.hypervisor.endGuest(guest.uid, chance.of(REASONS));
  },
  async (world, chance) =>
    world.hypervisor.setReachable(`node-${1 + chance.below(2)}`, chance.below(3) > 0),
  async (world, chance) => {
    const before = chance.below(2) === 0;
    const verb = chance.of(HYPERVISOR_VERBS);
    world.hypervisorFaults.rules.push({
      verb,
      when: before ? "before" : "after",
      error: before ? chance.of([UNAVAILABLE, UNKNOWN, REFUSED, ODD]) : chance.of([UNKNOWN, ODD]),
      times: 1 + chance.below(3),
    });
  },
  async (world, chance) => {
    const before = chance.below(2) === 0;
    world.storageFaults.rules.push({
      verb: chance.of(STORAGE_VERBS),
      when: before ? "before" : "after",
      error: before ? chance.of([UNAVAILABLE, ODD]) : chance.of([UNKNOWN, ODD]),
      times: 1 + chance.below(3),
    });
  },
  async (world) => {
    world.hypervisor.ignoreShutdown = !world.hypervisor.ignoreShutdown;
  },
  (world) => world.restart(),
  async (world, chance) => {
    // Dies in the middle of something.
    world.writesLeft = chance.below(5);
    await world.pass(chance.below(2_000));
    await world.stop();
    world.writesLeft = Number.POSITIVE_INFINITY;
    await world.start();
  },
  (world, chance) => world.pass(chance.below(60_000)),
  (world, chance) => world.pass(chance.below(300)),
  ...STORAGE_ACTIONS,
];

function endMigrations(world: World, how: () => "succeeded" | "failed"): void {
  for (const { uid } of world.running()) {
    const guest = world.hypervisor.guest(uid);
    if (guest) world.hypervisor.migration?.finish(guest, how());
  }
}

/** Does something to the world, now and then without waiting for what comes of it. */
export async function actAtRandom(world: World, chance: Chance): Promise<void> {
  await chance.of(ACTIONS)(world, chance);
  if (chance.below(2) === 0) await world.pass(chance.below(20));
}

/** Ends all trouble and lets time pass until nothing moves any more. */
export async function calmDown(world: World): Promise<void> {
  world.hypervisorFaults.rules.length = 0;
  world.storageFaults.rules.length = 0;
  world.hypervisor.ignoreShutdown = false;
  for (const host of ["node-1", "node-2"]) world.hypervisor.setReachable(host, true);
  if (world.hypervisor.migration) world.hypervisor.migration.hold = false;
  endMigrations(world, () => "succeeded");
  for (const name of ["node-1", "node-2"]) await tolerant(world.platform.nodes.uncordon(name));
  await world.pass(1_800_000);
}
