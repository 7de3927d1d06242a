import { describe, expect, it } from "vitest";
import {
  chooseFreeDisk,
  decideFreeDisks,
  decideScale,
  type FreeDisk,
  type PoolMember,
} from "../../src/pool/pool-decision.ts";

/** Members from the oldest to the newest; an exclamation mark says that one is going. */
function members(...names: string[]): PoolMember[] {
  return names.map((name, index) => ({
    name: name.replace("!", ""),
    creationTimestamp: new Date(index * 60_000).toISOString(),
    terminating: name.endsWith("!"),
  }));
}

type Policy = Parameters<typeof decideScale>[0]["policy"];

describe("the number of VMs of a pool", () => {
  it.each<[Policy, number | undefined, PoolMember[], string[], number, string[]]>([
    ["NewestFirst", 3, [], [], 3, []],
    ["NewestFirst", 3, members("a"), [], 2, []],
    ["NewestFirst", 2, members("a", "b"), [], 0, []],
    ["NewestFirst", 0, [], [], 0, []],
    ["NewestFirst", undefined, members("a", "b"), [], 0, []],
    ["NewestFirst", 1, members("a", "b", "c"), [], 0, ["c", "b"]],
    ["OldestFirst", 1, members("a", "b", "c"), [], 0, ["a", "b"]],
    ["NewestFirst", 0, members("a", "b"), [], 0, ["b", "a"]],
    // One that is going is as good as gone.
    ["NewestFirst", 2, members("a", "b", "c!"), [], 0, []],
    ["NewestFirst", 2, members("a", "b!"), [], 1, []],
    // Those that were named go first, under every policy.
    ["NewestFirst", 2, members("a", "b", "c"), ["a"], 0, ["a"]],
    ["OldestFirst", 1, members("a", "b", "c"), ["c"], 0, ["c", "a"]],
    // Nobody else goes where they have to be named.
    ["Explicit", 2, members("a", "b", "c"), [], 0, []],
    ["Explicit", 1, members("a", "b", "c"), ["b"], 0, ["b"]],
    ["Explicit", 2, members("a", "b", "c"), ["a", "c"], 0, ["a"]],
    // A name alone removes nobody: the number counts.
    ["Explicit", 3, members("a", "b", "c"), ["b"], 0, []],
    ["NewestFirst", 2, members("a", "b"), ["a"], 0, []],
  ])("%s, %s wanted, %j there, %j named", (policy, replicas, present, targets, create, remove) => {
    expect(decideScale({ replicas, policy, members: present, targets })).toEqual({
      create,
      remove,
    });
  });

  it("goes by name where the age is the same", () => {
    const twins = members("a", "b").map((member) => ({
      ...member,
      creationTimestamp: "2026-01-01T00:00:00Z",
    }));
    const removed = (policy: Policy): readonly string[] =>
      decideScale({ replicas: 1, policy, members: twins, targets: [] }).remove;
    expect([removed("NewestFirst"), removed("OldestFirst")]).toEqual([["b"], ["a"]]);
  });
});

function disks(...minutes: number[]): FreeDisk[] {
  return minutes.map((minute) => ({ name: `d${minute}`, freeSince: minute * 60_000 }));
}

describe("free disks of a pool", () => {
  const MINUTE = 60_000;

  it("are reused, the longest free first", () => {
    expect(chooseFreeDisk(disks(5, 2, 9))).toBe("d2");
    expect(chooseFreeDisk([])).toBeUndefined();
  });

  it.each<[FreeDisk[], number, number | undefined, number, string[], number | undefined]>([
    [disks(0, 1), 0, undefined, 1000, [], undefined],
    [disks(0, 1), 0, 30, 29, [], 1],
    [disks(0, 1), 0, 30, 30, ["d0"], 1],
    [disks(0, 1), 0, 30, 31, ["d0", "d1"], undefined],
    [disks(0, 1, 2), 2, 30, 100, ["d0"], undefined],
    [disks(0, 1, 2), 5, 30, 100, [], undefined],
    [disks(0, 1, 2), 1, 30, 30, ["d0"], 1],
    [[], 0, 30, 100, [], undefined],
  ])("%j, %d kept, %s minutes, now %d", (free, keep, ttl, now, remove, lookAgain) => {
    expect(
      decideFreeDisks({
        free,
        keep,
        ttl: ttl === undefined ? undefined : ttl * MINUTE,
        now: now * MINUTE,
      }),
    ).toEqual({ remove, lookAgain: lookAgain === undefined ? undefined : lookAgain * MINUTE });
  });
});
