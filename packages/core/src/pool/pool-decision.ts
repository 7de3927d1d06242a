import type { VirtualMachinePoolSpec } from "../api/virtual-machine-pool.ts";

/** A VM of a pool. */
export interface PoolMember {
  readonly name: string;
  /** RFC 3339. */
  readonly creationTimestamp: string;
  /** True once its deletion was asked for. */
  readonly terminating: boolean;
}

/** What is to be done about the number of VMs. */
export interface ScaleDecision {
  /** How many are to be made. */
  readonly create: number;
  /** Which are to be removed. */
  readonly remove: readonly string[];
}

/**
 * Decides how a pool gets to the number of VMs that is wanted. VMs that were named for removal go first; a pool with the
 * policy `Explicit` loses only those.
 */
export function decideScale(inputs: {
  /** `undefined`: as many as there are. */
  readonly replicas: number | undefined;
  readonly policy: VirtualMachinePoolSpec["scaleDownPolicy"];
  readonly members: readonly PoolMember[];
  readonly targets: readonly string[];
}): ScaleDecision {
  const { replicas, policy, members, targets } = inputs;
  const staying = members.filter(({ terminating }) => !terminating);
  if (replicas === undefined) return { create: 0, remove: [] };
  const missing = replicas - staying.length;
  if (missing >= 0) return { create: missing, remove: [] };
  const named = staying.filter(({ name }) => targets.includes(name));
  const others = staying.filter(({ name }) => !targets.includes(name)).toSorted(byAge);
  if (policy === "NewestFirst") others.reverse();
  const order = policy === "Explicit" ? named : [...named, ...others];
  return { create: 0, remove: order.slice(0, -missing).map(({ name }) => name) };
}

function byAge(a: PoolMember, b: PoolMember): number {
  const age = Date.parse(a.creationTimestamp) - Date.parse(b.creationTimestamp);
  return age === 0 ? (a.name < b.name ? -1 : 1) : age;
}

/** A disk of a pool that no VM has. */
export interface FreeDisk {
  readonly name: string;
  /** Milliseconds since 1970. */
  readonly freeSince: number;
}

/** The free disk that a new VM gets: the one that has been free for longest, which would be removed first. */
export function chooseFreeDisk(free: readonly FreeDisk[]): string | undefined {
  return free.toSorted(byFreedom)[0]?.name;
}

/**
 * Which free disks are removed: those that were free for longer than `ttl`, the longest first, but `keep` of them stay.
 * `lookAgain` tells after how many milliseconds the next one is due.
 */
export function decideFreeDisks(inputs: {
  readonly free: readonly FreeDisk[];
  readonly keep: number;
  /** Milliseconds; `undefined` keeps all. */
  readonly ttl: number | undefined;
  /** Milliseconds since 1970. */
  readonly now: number;
}): { readonly remove: readonly string[]; readonly lookAgain: number | undefined } {
  const { free, keep, ttl, now } = inputs;
  if (ttl === undefined) return { remove: [], lookAgain: undefined };
  const beyondKept = free.toSorted(byFreedom).slice(0, Math.max(0, free.length - keep));
  const due = beyondKept.filter(({ freeSince }) => freeSince + ttl <= now);
  const next = beyondKept[due.length];
  return {
    remove: due.map(({ name }) => name),
    lookAgain: next === undefined ? undefined : next.freeSince + ttl - now,
  };
}

function byFreedom(a: FreeDisk, b: FreeDisk): number {
  return a.freeSince === b.freeSince ? (a.name < b.name ? -1 : 1) : a.freeSince - b.freeSince;
}
