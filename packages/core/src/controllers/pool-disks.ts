import { type OwnerReference, type Resource, V1ALPHA2 } from "../api/meta.ts";
import type { VirtualDisk } from "../api/virtual-disk.ts";
import type { VirtualDiskTemplate, VirtualMachinePool } from "../api/virtual-machine-pool.ts";
import type { VirtualMachine } from "../api/virtual-machine.ts";
import { chooseFreeDisk, decideFreeDisks, type FreeDisk } from "../pool/pool-decision.ts";
import { DISK_TEMPLATE_LABEL, diskLabels, isRetained } from "../pool/pool-members.ts";
import { timestamp } from "../util/clock.ts";
import { parseDuration } from "../util/duration.ts";
import { isPolyvisorError } from "../util/errors.ts";
import { jsonEquals } from "../util/json.ts";
import { randomNameSuffix } from "../util/random-source.ts";
import type { ControllerContext } from "./controller-context.ts";

/** Annotation of a disk of a pool: since when no VM has it, RFC 3339. */
const FREE_SINCE = "virtualmachinepool.virtualization.deckhouse.io/free-since";

/** A pool and what belongs to it. What is made is added, so that a look goes on with what it has done. */
export interface PoolState {
  readonly pool: VirtualMachinePool;
  readonly members: VirtualMachine[];
  readonly disks: VirtualDisk[];
}

/** The owner reference to a resource. */
export function ownerReference({ apiVersion, kind, metadata }: Resource): OwnerReference {
  return { apiVersion, kind, name: metadata.name, uid: metadata.uid };
}

/** The disks of a pool: who owns them, which are free, and which are removed. */
export class PoolDisks {
  readonly #context: ControllerContext;

  constructor(context: ControllerContext) {
    this.#context = context;
  }

  /** A disk that outlives its VMs: a free one, or a new one. */
  async take(state: PoolState, template: VirtualDiskTemplate): Promise<string> {
    const { clock, random } = this.#context;
    const reused = chooseFreeDisk(freeDisks(state, template.name, clock.now()));
    if (reused !== undefined) return reused;
    const name = `${state.pool.metadata.name}-${template.name}-${randomNameSuffix(random)}`;
    await this.create(state, template, name, state.pool);
    return name;
  }

  /** Makes a disk, unless it is there. */
  async create(
    state: PoolState,
    { name: template, spec }: VirtualDiskTemplate,
    name: string,
    owner: Resource,
  ): Promise<void> {
    const { pool, disks } = state;
    try {
      const disk = await this.#context.store.create("VirtualDisk", {
        apiVersion: V1ALPHA2,
        kind: "VirtualDisk",
        metadata: {
          name,
          namespace: pool.metadata.namespace ?? "",
          labels: diskLabels(pool, template),
          ownerReferences: [ownerReference(owner)],
        },
        spec,
      });
      disks.push(disk);
    } catch (error) {
      if (!isPolyvisorError(error, "POLYVISOR_ALREADY_EXISTS")) throw error;
    }
  }

  /** Lets a disk go with its VM or stay with the pool, as the template says now. */
  async own(disk: VirtualDisk, owner: Resource): Promise<void> {
    const ownerReferences = [ownerReference(owner)];
    if (jsonEquals(disk.metadata.ownerReferences, ownerReferences)) return;
    const metadata = { ...disk.metadata, ownerReferences };
    await this.#context.store.update("VirtualDisk", { ...disk, metadata });
  }

  /** Marks disks that no VM has, and removes those that are free for too long; gives when to look again. */
  async release(state: PoolState): Promise<number | undefined> {
    const { clock } = this.#context;
    const { pool } = state;
    const times: number[] = [];
    const templates = new Set(
      state.disks.map(({ metadata }) => metadata.labels?.[DISK_TEMPLATE_LABEL] ?? ""),
    );
    for (const name of templates) {
      await this.#mark(state, name);
      const template = pool.spec.virtualDiskTemplates.find((candidate) => candidate.name === name);
      const { keep = 0, ttl } = template?.reclaim ?? {};
      const { remove, lookAgain } = decideFreeDisks({
        free: freeDisks(state, name, clock.now()),
        keep: isRetained(pool, name) ? keep : 0,
        ttl: isRetained(pool, name) ? (ttl === undefined ? undefined : parseDuration(ttl)) : 0,
        now: clock.now(),
      });
      await this.#remove(state, remove);
      if (lookAgain !== undefined) times.push(lookAgain);
    }
    return times.length === 0 ? undefined : Math.min(...times);
  }

  async #remove({ disks }: PoolState, names: readonly string[]): Promise<void> {
    for (const { metadata } of disks) {
      if (!names.includes(metadata.name)) continue;
      try {
        await this.#context.store.delete("VirtualDisk", metadata, { uid: metadata.uid });
      } catch (error) {
        if (!isPolyvisorError(error, "POLYVISOR_NOT_FOUND")) throw error;
      }
    }
  }

  async #mark(state: PoolState, template: string): Promise<void> {
    const { store, clock } = this.#context;
    const used = usedDisks(state);
    for (const disk of state.disks) {
      const { metadata } = disk;
      if (metadata.labels?.[DISK_TEMPLATE_LABEL] !== template) continue;
      const marked = metadata.annotations?.[FREE_SINCE] !== undefined;
      if (used.has(metadata.name) !== marked) continue;
      const { [FREE_SINCE]: _, ...others } = metadata.annotations ?? {};
      const annotations = marked ? others : { ...others, [FREE_SINCE]: timestamp(clock) };
      await store.update("VirtualDisk", { ...disk, metadata: { ...metadata, annotations } });
    }
  }
}

function usedDisks({ members }: PoolState): Set<string> {
  return new Set(
    members.flatMap(({ spec }) =>
      spec.blockDeviceRefs.flatMap(({ kind, name }) => (kind === "VirtualDisk" ? name : [])),
    ),
  );
}

/** Disks of a template that no VM names, also none that is going; those of a VM alone go with it by themselves. */
function freeDisks(state: PoolState, template: string, now: number): FreeDisk[] {
  const used = usedDisks(state);
  const { uid } = state.pool.metadata;
  return state.disks.flatMap(({ metadata }) => {
    const { name, labels, annotations, deletionTimestamp, ownerReferences = [] } = metadata;
    const free =
      labels?.[DISK_TEMPLATE_LABEL] === template &&
      ownerReferences.some((owner) => owner.uid === uid) &&
      !used.has(name) &&
      deletionTimestamp === undefined;
    const since = annotations?.[FREE_SINCE];
    return free ? [{ name, freeSince: since === undefined ? now : Date.parse(since) }] : [];
  });
}
