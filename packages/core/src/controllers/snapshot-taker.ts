import type { FrozenGuest } from "../api/virtual-disk-snapshot.ts";
import type { VirtualDisk } from "../api/virtual-disk.ts";
import type { Storage, VolumeSnapshotState } from "../backend/storage.ts";
import { decideConsistency } from "../snapshots/snapshot-consistency.ts";
import { timeLimit } from "../util/clock.ts";
import { messageOf, PolyvisorError } from "../util/errors.ts";
import type { ControllerContext } from "./controller-context.ts";
import { withRetries } from "./retry.ts";
import type { KeyedMutex } from "./runtime/keyed-mutex.ts";
import { type FoundGuest, thawGuest } from "./snapshot-guest.ts";
import { deviceName } from "../machine/guest-devices.ts";
import { volumeName } from "./volume-names.ts";

/** A disk of which a snapshot is taken. */
export interface SnapshotItem {
  readonly disk: VirtualDisk;
  readonly storage: Storage;
  /** The name under which the storage keeps the snapshot. */
  readonly name: string;
}

/** Snapshots that are to be taken at one moment. */
export interface SnapshotOrder {
  readonly kind: "VirtualDiskSnapshot" | "VirtualMachineSnapshot";
  readonly items: readonly SnapshotItem[];
  readonly requiredConsistency: boolean;
  /** The guest that uses the disks; absent when none does. */
  readonly guest: FoundGuest | undefined;
  /** The guest to freeze meanwhile. That it may be frozen is stored before this is carried out. */
  readonly freeze: FrozenGuest | undefined;
  /** True as long as nothing has changed about who uses the disks. */
  readonly isUnchanged: () => Promise<boolean>;
}

/** Snapshots that were taken. */
export interface TakenSnapshots {
  /** In the order of the items. */
  readonly states: readonly VolumeSnapshotState[];
  readonly consistent: boolean;
  /** False when the guest could not be let go: that is to be tried again. */
  readonly thawed: boolean;
}

/** Why snapshots were not taken, with the reason for the condition. */
export class SnapshotProblem extends Error {
  override readonly name: string = "SnapshotProblem";
  readonly reason: string;

  constructor(reason: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.reason = reason;
  }
}

/** A hypervisor lets a frozen guest go by itself after so many seconds. */
const FREEZE_SECONDS = 60;

/** Snapshots of a frozen guest that are not there within so many milliseconds may have been taken after it went on. */
const FREEZE_LIMIT = 50_000;

/**
 * Takes snapshots at one moment. It may be repeated after a crash: what an interrupted attempt has left is removed, since
 * nobody knows any more whether it was taken while the guest was frozen.
 */
export function takeSnapshots(
  order: SnapshotOrder,
  context: ControllerContext,
  gate: KeyedMutex,
  signal: AbortSignal,
): Promise<TakenSnapshots> {
  const { clock } = context;
  // Guests are frozen for one snapshot at a time: the end of one must not thaw a guest under another.
  const key = order.guest?.running?.uid ?? order.items.map(({ name }) => name).join(" ");
  return withRetries(() => gate.run(key, () => attempt(order, context, signal)), {
    clock,
    signal,
    onRetry: (error) =>
      context.logger.warn({ error: messageOf(error) }, "a snapshot is tried again"),
  });
}

async function attempt(
  order: SnapshotOrder,
  context: ControllerContext,
  signal: AbortSignal,
): Promise<TakenSnapshots> {
  const { freeze } = order;
  await removeSnapshots(order, signal);
  if (freeze === undefined) {
    const states = await createAll(order, signal);
    if (!(await order.isUnchanged())) {
      await removeSnapshots(order, signal);
      throw new PolyvisorError("POLYVISOR_CONFLICT", "the VM was started or stopped meanwhile");
    }
    return { states, thawed: true, consistent: order.guest?.state !== "running" };
  }
  let thawed = await thawGuest(freeze, context);
  const limit = timeLimit(context.clock, FREEZE_LIMIT);
  const both = AbortSignal.any([signal, limit.signal]);
  let states: readonly VolumeSnapshotState[] | undefined;
  let frozen = false;
  try {
    thawed = false;
    await freezeGuest(freeze, order, context, both);
    frozen = true;
    states = await createAll(order, both);
  } catch (error) {
    if (frozen || !(error instanceof FreezeRefused)) throw error;
    // It is taken as it is, where that is allowed.
    states = await createAll(order, signal);
  } finally {
    limit.cancel();
    thawed = await thawGuest(freeze, context);
  }
  return { states, thawed, consistent: frozen };
}

class FreezeRefused extends Error {}

async function freezeGuest(
  { uid, incarnation, host }: FrozenGuest,
  order: SnapshotOrder,
  { fleet }: ControllerContext,
  signal: AbortSignal,
): Promise<void> {
  const options = { timeoutSeconds: FREEZE_SECONDS, signal };
  try {
    const { agent } = fleet.memberOf(host).hypervisor;
    await agent?.freeze({ uid, incarnation }, host, options);
  } catch (error) {
    const { kind, requiredConsistency, guest } = order;
    const freezeProblem = `the agent could not freeze it (${messageOf(error)})`;
    const decision = decideConsistency({ kind, requiredConsistency, guest, freezeProblem });
    if (decision.action !== "take") {
      throw new SnapshotProblem("PotentiallyInconsistent", decision.message, { cause: error });
    }
    throw new FreezeRefused(freezeProblem, { cause: error });
  }
}

async function createAll(
  { items, guest }: SnapshotOrder,
  signal: AbortSignal,
): Promise<VolumeSnapshotState[]> {
  const running = guest?.running;
  return Promise.all(
    items.map(async ({ disk, storage, name }) => {
      const { snapshots } = storage;
      if (snapshots === undefined) {
        throw new SnapshotProblem(
          "VirtualDiskSnapshotFailed",
          `The storage "${storage.name}" of VirtualDisk "${disk.metadata.name}" takes no snapshots: move the content to a disk of another StorageClass.`,
        );
      }
      const attachedTo = running && {
        guest: { uid: running.uid, incarnation: running.incarnation },
        host: running.host,
        disk: deviceName({ kind: "VirtualDisk", name: disk.metadata.name }),
      };
      const spec = { name, volume: volumeName(disk), ...(attachedTo && { attachedTo }) };
      return snapshots.create(spec, signal);
    }),
  );
}

async function removeSnapshots({ items }: SnapshotOrder, signal: AbortSignal): Promise<void> {
  for (const { storage, name } of items) await storage.snapshots?.delete(name, signal);
}
