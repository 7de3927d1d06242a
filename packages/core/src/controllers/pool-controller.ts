import { mergeConditions } from "../api/conditions.ts";
import { keyOf, type Resource, V1ALPHA2 } from "../api/meta.ts";
import { SCALE_DOWN_TARGETS_ANNOTATION, scaleDownTargets } from "../api/scale-down-targets.ts";
import type { VirtualMachinePool } from "../api/virtual-machine-pool.ts";
import type { VirtualMachine } from "../api/virtual-machine.ts";
import { decideScale, type ScaleDecision } from "../pool/pool-decision.ts";
import {
  disksOfMember,
  isRetained,
  memberLabels,
  memberSpec,
  POOL_LABEL,
  TEMPLATE_HASH_LABEL,
  templateHash,
} from "../pool/pool-members.ts";
import { poolStatus } from "../pool/pool-status.ts";
import { timestamp } from "../util/clock.ts";
import { isPolyvisorError } from "../util/errors.ts";
import { randomNameSuffix } from "../util/random-source.ts";
import type { ControllerContext, RunnableController } from "./controller-context.ts";
import { ownerReference, PoolDisks, type PoolState } from "./pool-disks.ts";
import { Controller, type ReconcileResult } from "./runtime/controller.ts";

/** An index of the caches of VMs and disks: by the pool that they are of. */
const BY_POOL = "pool";

/** Keeps as many VMs in a pool as are wanted, and makes them like its template. */
export class PoolController implements RunnableController {
  readonly name = "VirtualMachinePool controller";
  readonly #context: ControllerContext;
  readonly #controller: Controller;
  readonly #disks: PoolDisks;

  constructor(context: ControllerContext) {
    this.#context = context;
    this.#disks = new PoolDisks(context);
    const { caches, clock, logger } = context;
    this.#controller = new Controller({
      name: this.name,
      clock,
      logger,
      concurrency: 4,
      reconcile: (key) => this.#reconcile(key),
    });
    caches.onChange("VirtualMachinePool", ({ metadata }) =>
      this.#controller.enqueue(keyOf(metadata)),
    );
    const enqueuePool = (resource: Resource): void => {
      for (const key of poolKeys(resource)) this.#controller.enqueue(key);
    };
    caches.of("VirtualMachine").addIndex(BY_POOL, poolKeys);
    caches.of("VirtualDisk").addIndex(BY_POOL, poolKeys);
    caches.onChange("VirtualMachine", enqueuePool);
    caches.onChange("VirtualDisk", enqueuePool);
  }

  run(signal: AbortSignal): Promise<void> {
    return this.#controller.run(signal);
  }

  async #reconcile(key: string): Promise<ReconcileResult | void> {
    const { store, caches } = this.#context;
    const found = caches.of("VirtualMachinePool").get(key);
    const pool = found && (await store.get("VirtualMachinePool", found.metadata));
    if (pool === undefined || pool.metadata.deletionTimestamp !== undefined) return;
    const seen: PoolState = {
      pool,
      members: caches.of("VirtualMachine").findBy(BY_POOL, key),
      disks: caches.of("VirtualDisk").findBy(BY_POOL, key),
    };
    // A cache lags: what is about to be made or removed is decided on what the store says.
    const state = isSettled(seen) ? seen : await this.#change(await this.#read(pool));
    const lookAgain = await this.#disks.release(state);
    await this.#write(state);
    return lookAgain === undefined ? undefined : { requeueAfter: lookAgain };
  }

  async #read(pool: VirtualMachinePool): Promise<PoolState> {
    const { store } = this.#context;
    const { name, namespace = "" } = pool.metadata;
    const selection = { namespace, labelSelector: { matchLabels: { [POOL_LABEL]: name } } };
    const [members, disks] = await Promise.all([
      store.list("VirtualMachine", selection),
      store.list("VirtualDisk", selection),
    ]);
    return { pool, members: [...members.items], disks: [...disks.items] };
  }

  async #change(state: PoolState): Promise<PoolState> {
    const { create, remove } = scaleOf(state);
    for (let count = 0; count < create; count += 1) await this.#createMember(state);
    for (const member of state.members) {
      if (remove.includes(member.metadata.name)) await this.#removeMember(member);
    }
    if (create === 0 && remove.length === 0) await this.#forgetTargets(state.pool);
    for (const member of state.members) {
      const staying = member.metadata.deletionTimestamp === undefined;
      if (staying && !remove.includes(member.metadata.name)) await this.#equip(state, member);
    }
    return this.#read(state.pool);
  }

  async #createMember(state: PoolState): Promise<void> {
    const { store, random } = this.#context;
    const { pool } = state;
    const { name, namespace = "" } = pool.metadata;
    const memberName = `${name}-${randomNameSuffix(random)}`;
    const diskNames = new Map<string, string>();
    for (const template of pool.spec.virtualDiskTemplates) {
      const disk = isRetained(pool, template.name)
        ? await this.#disks.take(state, template)
        : `${memberName}-${template.name}`;
      diskNames.set(template.name, disk);
    }
    const { annotations } = pool.spec.virtualMachineTemplate.metadata ?? {};
    const member = await store.create("VirtualMachine", {
      apiVersion: V1ALPHA2,
      kind: "VirtualMachine",
      metadata: {
        name: memberName,
        namespace,
        labels: memberLabels(pool),
        ...(annotations && { annotations }),
        ownerReferences: [ownerReference(pool)],
      },
      spec: memberSpec(pool, diskNames),
    });
    state.members.push(member);
  }

  async #removeMember({ metadata }: VirtualMachine): Promise<void> {
    try {
      await this.#context.store.delete("VirtualMachine", metadata, { uid: metadata.uid });
    } catch (error) {
      if (!isPolyvisorError(error, "POLYVISOR_NOT_FOUND")) throw error;
    }
  }

  /** Everybody who was named for removal is gone or going: the names count no longer. */
  async #forgetTargets(pool: VirtualMachinePool): Promise<void> {
    if (scaleDownTargets(pool).length === 0) return;
    const { [SCALE_DOWN_TARGETS_ANNOTATION]: _, ...annotations } = pool.metadata.annotations ?? {};
    const metadata = { ...pool.metadata, annotations };
    await this.#context.store.update("VirtualMachinePool", { ...pool, metadata });
  }

  /** Gives a VM its disks, and makes it like the template. */
  async #equip(state: PoolState, member: VirtualMachine): Promise<void> {
    const { pool, disks } = state;
    const names = disksOfMember(pool, member, disks);
    for (const template of pool.spec.virtualDiskTemplates) {
      const owner = isRetained(pool, template.name) ? pool : member;
      const name = names.get(template.name) ?? (await this.#disks.take(state, template));
      names.set(template.name, name);
      const disk = disks.find(({ metadata }) => metadata.name === name);
      if (disk) await this.#disks.own(disk, owner);
      else await this.#disks.create(state, template, name, owner);
    }
    if (isLikeTemplate(templateHash(pool), member)) return;
    const { annotations } = pool.spec.virtualMachineTemplate.metadata ?? {};
    await this.#context.store.update("VirtualMachine", {
      ...member,
      metadata: {
        ...member.metadata,
        labels: { ...member.metadata.labels, ...memberLabels(pool) },
        ...(annotations && { annotations: { ...member.metadata.annotations, ...annotations } }),
      },
      spec: memberSpec(pool, names),
    });
  }

  async #write({ pool, members }: PoolState): Promise<void> {
    const { store, clock } = this.#context;
    const present = await store.get("VirtualMachinePool", pool.metadata);
    if (present === undefined) return;
    const { conditions, ...status } = poolStatus(present, members);
    await store.updateStatus("VirtualMachinePool", {
      ...present,
      status: {
        ...status,
        conditions: mergeConditions(present.status?.conditions, conditions, timestamp(clock)),
      },
    });
  }
}

function poolKeys({ metadata }: Resource): string[] {
  const name = metadata.labels?.[POOL_LABEL];
  return name === undefined ? [] : [`${metadata.namespace}/${name}`];
}

function scaleOf({ pool, members }: PoolState): ScaleDecision {
  return decideScale({
    replicas: pool.spec.replicas,
    policy: pool.spec.scaleDownPolicy,
    targets: scaleDownTargets(pool),
    members: members.map(({ metadata }) => ({
      name: metadata.name,
      creationTimestamp: metadata.creationTimestamp,
      terminating: metadata.deletionTimestamp !== undefined,
    })),
  });
}

function isLikeTemplate(hash: string, { metadata }: VirtualMachine): boolean {
  return metadata.labels?.[TEMPLATE_HASH_LABEL] === hash;
}

/** True when nothing is to be made, changed or removed, disks that are free aside. */
function isSettled(state: PoolState): boolean {
  const { pool, members, disks } = state;
  const { create, remove } = scaleOf(state);
  if (create > 0 || remove.length > 0 || scaleDownTargets(pool).length > 0) return false;
  const hash = templateHash(pool);
  const owners = new Map(disks.map((disk) => [disk.metadata.name, disk.metadata.ownerReferences]));
  return members.every((member) => {
    if (member.metadata.deletionTimestamp !== undefined) return true;
    if (!isLikeTemplate(hash, member)) return false;
    const names = disksOfMember(pool, member, disks);
    return pool.spec.virtualDiskTemplates.every(({ name }) => {
      const owner = isRetained(pool, name) ? pool : member;
      return owners.get(names.get(name) ?? "")?.[0]?.uid === owner.metadata.uid;
    });
  });
}
