import type { HostState } from "@polyvisor/core";
import { describe, expect, it } from "vitest";
import { decidePlacement, type PlacementInputs } from "../../src/machine/placement-decision.ts";

const GIB = 2 ** 30;

function host(name: string, more: Partial<HostState> = {}): HostState {
  return {
    name,
    reachable: true,
    hypervisor: "fake",
    hypervisorVersion: "1",
    cpus: 4,
    memoryBytes: 8 * GIB,
    labels: {},
    unknownGuests: [],
    ...more,
  };
}

function decide(
  hosts: HostState[],
  more: Partial<PlacementInputs> = {},
): ReturnType<typeof decidePlacement> {
  return decidePlacement({
    memoryBytes: GIB,
    hosts,
    promisedBytes: new Map(),
    reachingDisks: undefined,
    selectors: [],
    ...more,
  });
}

describe("decidePlacement", () => {
  const both = [host("b"), host("a")];
  it.each<[string, HostState[], Partial<PlacementInputs>, string]>([
    ["the first by name of equal hosts", both, {}, "a"],
    ["the host with most memory left", both, { promisedBytes: new Map([["a", 1]]) }, "b"],
    ["the larger host", [host("a"), host("z", { memoryBytes: 9 * GIB })], {}, "z"],
    ["a host that answers", [host("a", { reachable: false }), host("b")], {}, "b"],
    ["a host that reaches the disks", both, { reachingDisks: ["b"] }, "b"],
    [
      "a host with the labels",
      [host("a"), host("b", { labels: { disk: "fast" } })],
      { selectors: [{}, { matchLabels: { disk: "fast" } }] },
      "b",
    ],
    ["a host on which it just fits", [host("a", { memoryBytes: GIB })], {}, "a"],
  ])("chooses %s", (_, hosts, more, chosen) => {
    expect(decide(hosts, more)).toEqual({ host: chosen });
  });

  it.each<[HostState[], Partial<PlacementInputs>, string]>([
    [[], {}, "there are no hosts"],
    [[host("a", { reachable: false })], {}, "a does not answer"],
    [[host("a")], { reachingDisks: [] }, "a does not reach the disks"],
    [
      [host("a")],
      { selectors: [{ matchLabels: { x: "y" } }] },
      "a does not match the node selector",
    ],
    [
      [host("a")],
      { memoryBytes: 3 * GIB, promisedBytes: new Map([["a", 6.5 * GIB]]) },
      "a has 1.5 GiB of memory left, and the VM needs 3.0 GiB",
    ],
    [
      [host("a")],
      { promisedBytes: new Map([["a", 9 * GIB]]) },
      "a has 0 B of memory left, and the VM needs 1.0 GiB",
    ],
    [
      [host("b", { memoryBytes: 0 }), host("a", { reachable: false })],
      {},
      "a does not answer; b has 0 B of memory left, and the VM needs 1.0 GiB",
    ],
  ])("says why no host will do (%#)", (hosts, more, reasons) => {
    const message = `No host can take the VM: ${reasons}.`;
    expect(decide(hosts, more)).toEqual({ host: undefined, message });
  });
});
