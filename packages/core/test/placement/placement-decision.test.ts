import { describe, expect, it } from "vitest";
import {
  decidePlacement,
  type PlacementHost,
  type PlacementInputs,
} from "../../src/placement/placement-decision.ts";
import type { AffinityTerm } from "../../src/api/placement-terms.ts";
import type { PlacedMachine, PlacementTerms } from "../../src/placement/placement-terms.ts";

const GiB = 2 ** 30;
const HOSTNAME = "kubernetes.io/hostname";

function host(name: string, more: Partial<PlacementHost> = {}): PlacementHost {
  return {
    name,
    reachable: true,
    unschedulable: false,
    taints: [],
    freeMemoryBytes: 16 * GiB,
    freeMillicores: 8000,
    ...more,
    labels: { [HOSTNAME]: name, ...more.labels },
  };
}

function placed(name: string, where: string, labels: Record<string, string> = {}): PlacedMachine {
  return { namespace: "default", name, labels, host: where };
}

function inputs(
  more: Partial<Omit<PlacementInputs, "terms">> & { terms?: Partial<PlacementTerms> },
): PlacementInputs {
  const { terms, ...rest } = more;
  return {
    machine: { namespace: "default", name: "linux-vm", labels: {} },
    memoryBytes: 2 * GiB,
    millicores: 1000,
    hosts: [host("a"), host("b")],
    machines: [],
    antiAffine: [],
    namespaces: new Map(),
    ...rest,
    terms: { nodeSelectors: [], ...terms },
  };
}

/** The host, or the reason of every host. */
function decide(more: Parameters<typeof inputs>[0]): string | Record<string, string> {
  const decision = decidePlacement(inputs(more));
  if (decision.host !== undefined) return decision.host;
  return Object.fromEntries(decision.rejected.map(({ host: name, reason }) => [name, reason]));
}

const ssd = host("fast", { labels: { disktype: "ssd", zone: "1" } });
const hdd = host("slow", { labels: { disktype: "hdd", zone: "2" }, freeMemoryBytes: 64 * GiB });
const DISKS = [hdd, ssd];
const inSsd = { matchExpressions: [{ key: "disktype", operator: "In", values: ["ssd"] }] } as const;

describe("a host", () => {
  it.each<[Partial<PlacementHost>, string]>([
    [{ reachable: false }, "does not answer"],
    [{ unschedulable: true }, "is closed to VMs (spec.unschedulable)"],
    [
      { taints: [{ key: "dedicated", value: "db", effect: "NoSchedule" }] },
      "has the taint dedicated=db:NoSchedule, which the VM does not tolerate",
    ],
    [
      { taints: [{ key: "leaving", effect: "NoExecute" }] },
      "has the taint leaving:NoExecute, which the VM does not tolerate",
    ],
    [{ objection: "has no CPU feature avx2" }, "has no CPU feature avx2"],
    [{ freeMemoryBytes: GiB }, "has 1.0 GiB of memory left, and the VM needs 2.0 GiB"],
    [{ freeMemoryBytes: -GiB }, "has 0 B of memory left, and the VM needs 2.0 GiB"],
    [{ freeMillicores: 500 }, "has 0.5 CPU cores left, and the VM needs 1"],
  ])("%j is passed over", (more, reason) => {
    expect(decide({ hosts: [host("a", more), host("b")] })).toBe("b");
    expect(decide({ hosts: [host("a", more)] })).toEqual({ a: reason });
  });

  it("is passed over when it does not reach the disks", () => {
    expect(decide({ reachingDisks: ["b"] })).toBe("b");
    expect(decide({ reachingDisks: [] })).toEqual({
      a: "does not reach the disks",
      b: "does not reach the disks",
    });
  });

  it("is chosen by the most memory left, then by name", () => {
    expect(decide({})).toBe("a");
    expect(decide({ hosts: [host("b"), host("a")] })).toBe("a");
    expect(decide({ hosts: DISKS })).toBe("slow");
  });

  it("is missing altogether", () => {
    expect(decidePlacement(inputs({ hosts: [] }))).toEqual({
      host: undefined,
      rejected: [],
      message: "No host can take the VM: there are no hosts.",
    });
  });

  it("that fits does not hide why others do not", () => {
    const decision = decidePlacement(
      inputs({ hosts: [host("a", { reachable: false }), host("b")] }),
    );
    expect(decision).toEqual({
      host: "b",
      rejected: [{ host: "a", reason: "does not answer" }],
    });
  });
});

describe("node selectors", () => {
  it("of the VM and of the class both count", () => {
    const ofVm = { of: "the VM", selector: { matchLabels: { disktype: "ssd" } } };
    const ofClass = {
      of: 'VirtualMachineClass "generic"',
      selector: { matchExpressions: [{ key: "zone", operator: "In", values: ["2"] }] },
    } as const;
    expect(decide({ hosts: DISKS, terms: { nodeSelectors: [ofVm] } })).toBe("fast");
    expect(decide({ hosts: DISKS, terms: { nodeSelectors: [ofVm, ofClass] } })).toEqual({
      fast: 'does not match the node selector of VirtualMachineClass "generic"',
      slow: "does not match the node selector of the VM",
    });
  });
});

describe("tolerations", () => {
  const taints = [{ key: "dedicated", value: "db", effect: "NoSchedule" }] as const;
  it.each<[NonNullable<PlacementTerms["tolerations"]>[number], boolean]>([
    [{ key: "dedicated", value: "db" }, true],
    [{ key: "dedicated", operator: "Equal", value: "db", effect: "NoSchedule" }, true],
    [{ key: "dedicated", operator: "Exists" }, true],
    [{ operator: "Exists" }, true],
    [{ operator: "Exists", effect: "NoExecute" }, false],
    [{ key: "dedicated", value: "web" }, false],
    [{ key: "other", operator: "Exists" }, false],
    [{ key: "dedicated", value: "db", effect: "NoExecute" }, false],
  ])("%j: %s", (toleration, tolerated) => {
    const answer = decide({ hosts: [host("a", { taints })], terms: { tolerations: [toleration] } });
    expect(answer === "a").toBe(tolerated);
  });

  it("a preference against a host is followed while another one fits", () => {
    const shy = host("shy", {
      freeMemoryBytes: 99 * GiB,
      taints: [{ key: "x", effect: "PreferNoSchedule" }],
    });
    expect(decide({ hosts: [shy, host("b")] })).toBe("b");
    expect(decide({ hosts: [shy] })).toBe("shy");
  });
});

describe("node affinity", () => {
  it("required, as in the user guide", () => {
    const affinity = {
      nodeAffinity: {
        requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms: [inSsd] },
      },
    };
    expect(decide({ hosts: DISKS, terms: { affinity } })).toBe("fast");
    expect(decide({ hosts: [hdd], terms: { affinity } })).toEqual({
      slow: "does not match the node affinity of the VM",
    });
  });

  it.each<[object, string]>([
    [{ matchExpressions: [{ key: "disktype", operator: "NotIn", values: ["ssd"] }] }, "slow"],
    [{ matchExpressions: [{ key: "gpu", operator: "DoesNotExist" }] }, "slow"],
    [{ matchExpressions: [{ key: "zone", operator: "Gt", values: ["1"] }] }, "slow"],
    [{ matchExpressions: [{ key: "zone", operator: "Lt", values: ["2"] }] }, "fast"],
    [{ matchExpressions: [{ key: "zone", operator: "Exists" }] }, "slow"],
    [{ matchFields: [{ key: "metadata.name", operator: "In", values: ["fast"] }] }, "fast"],
    [{ ...inSsd, matchFields: [{ key: "metadata.name", operator: "In", values: ["slow"] }] }, ""],
    [{ matchExpressions: [{ key: "disktype", operator: "Gt", values: ["1"] }] }, ""],
    [{}, ""],
  ])("term %j gives %j", (term, expected) => {
    const required = { nodeSelectorTerms: [term as typeof inSsd] };
    const affinity = {
      nodeAffinity: { requiredDuringSchedulingIgnoredDuringExecution: required },
    };
    const answer = decide({ hosts: DISKS, terms: { affinity } });
    expect(typeof answer === "string" ? answer : "").toBe(expected);
  });

  it("preferred outweighs memory, by the sum of the weights", () => {
    const prefer = (weight: number, values: string[]): object => ({
      weight,
      preference: { matchExpressions: [{ key: "disktype", operator: "In", values }] },
    });
    const chosen = (...preferred: object[]): unknown =>
      decide({
        hosts: DISKS,
        terms: {
          affinity: {
            nodeAffinity: { preferredDuringSchedulingIgnoredDuringExecution: preferred as never },
          },
        },
      });
    expect(chosen(prefer(1, ["ssd"]))).toBe("fast");
    expect(chosen(prefer(5, ["ssd"]), prefer(6, ["hdd"]))).toBe("slow");
    expect(chosen(prefer(5, ["ssd"]), prefer(6, ["hdd"]), prefer(2, ["ssd"]))).toBe("fast");
    expect(chosen(prefer(9, ["nvme"]))).toBe("slow");
  });
});

const database: AffinityTerm = {
  labelSelector: { matchLabels: { server: "database" } },
  topologyKey: HOSTNAME,
};

function near(term: AffinityTerm): Partial<PlacementTerms> {
  return {
    affinity: {
      virtualMachineAndPodAffinity: { requiredDuringSchedulingIgnoredDuringExecution: [term] },
    },
  };
}

function apart(term: AffinityTerm): Partial<PlacementTerms> {
  return {
    affinity: {
      virtualMachineAndPodAntiAffinity: { requiredDuringSchedulingIgnoredDuringExecution: [term] },
    },
  };
}

const DATABASE = { server: "database" };
const db = { namespace: "default", name: "linux-vm", labels: DATABASE };

describe("VM affinity", () => {
  it("preferred, as in the user guide", () => {
    const terms: Partial<PlacementTerms> = {
      affinity: {
        virtualMachineAndPodAffinity: {
          preferredDuringSchedulingIgnoredDuringExecution: [
            { weight: 1, virtualMachineAndPodAffinityTerm: database },
          ],
        },
      },
    };
    expect(decide({ hosts: DISKS, terms, machines: [placed("db", "fast", DATABASE)] })).toBe(
      "fast",
    );
    expect(decide({ hosts: DISKS, terms })).toBe("slow");
  });

  it("required needs a VM in the same domain", () => {
    const machines = [placed("db", "fast", DATABASE)];
    expect(decide({ hosts: DISKS, machines, terms: near(database) })).toBe("fast");
    expect(decide({ hosts: [hdd], machines, terms: near(database) })).toEqual({
      slow: "has no VM of the required VM affinity within its kubernetes.io/hostname",
    });
    const rack = [host("x", { labels: { rack: "1" } }), host("y", { labels: { rack: "1" } })];
    expect(
      decide({
        hosts: [...rack, host("z", { freeMemoryBytes: 99 * GiB, labels: { rack: "2" } })],
        machines: [placed("db", "x", DATABASE)],
        terms: near({ ...database, topologyKey: "rack" }),
      }),
    ).toBe("x");
  });

  it("lets the first of a group that wants to be together go anywhere", () => {
    expect(decide({ machine: db, terms: near(database) })).toBe("a");
    expect(
      decide({ machine: db, terms: near(database), machines: [placed("2", "b", DATABASE)] }),
    ).toBe("b");
    expect(decide({ machine: db, terms: near({ ...database, topologyKey: "rack" }) })).toEqual({
      a: "has no VM of the required VM affinity within its rack",
      b: "has no VM of the required VM affinity within its rack",
    });
  });

  it.each<[Partial<AffinityTerm>, string]>([
    [{}, "a"],
    [{ namespaces: ["other"] }, "b"],
    [{ namespaces: ["default", "other"] }, "a"],
    [{ namespaceSelector: {} }, "a"],
    [{ namespaceSelector: { matchLabels: { team: "blue" } } }, "b"],
    [{ namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": "other" } } }, "b"],
    [{ matchLabelKeys: ["version"] }, "c"],
    [{ mismatchLabelKeys: ["version"] }, "a"],
  ])("with %j looks for %s", (more, expected) => {
    const machines: PlacedMachine[] = [
      placed("1", "a", { ...DATABASE, version: "1" }),
      { ...placed("2", "b", DATABASE), namespace: "other" },
      placed("3", "c", { ...DATABASE, version: "2" }),
    ];
    const answer = decide({
      hosts: [host("a"), host("b"), host("c")],
      machine: { ...db, labels: { version: "2" } },
      machines,
      namespaces: new Map([["other", { team: "blue" }]]),
      terms: near({ ...database, ...more }),
    });
    expect(answer).toBe(expected);
  });

  it("without a selector chooses nobody", () => {
    const machines = [placed("db", "a", DATABASE)];
    expect(decide({ machines, terms: apart({ topologyKey: HOSTNAME }) })).toBe("a");
  });
});

describe("VM anti-affinity", () => {
  it("required, as in the user guide", () => {
    const machines = [placed("db", "a", DATABASE)];
    expect(decide({ machine: db, machines, terms: apart(database) })).toBe("b");
    expect(decide({ machine: db, hosts: [host("a")], machines, terms: apart(database) })).toEqual({
      a: 'is kept free by anti-affinity to VM "default/db"',
    });
  });

  it("of a VM that runs keeps others away too", () => {
    const [term] = [apart(database).affinity];
    const other: PlacedMachine = {
      ...placed("db", "a", DATABASE),
      ...(term && { affinity: term }),
    };
    expect(decide({ machine: db, machines: [other], antiAffine: [other] })).toBe("b");
    expect(
      decide({ machine: db, hosts: [host("a")], machines: [other], antiAffine: [other] }),
    ).toEqual({
      a: 'is kept free by the anti-affinity of VM "default/db"',
    });
    expect(decide({ machines: [other], antiAffine: [other] })).toBe("a");
  });

  it("does not keep a VM away from itself", () => {
    const self: PlacedMachine = { ...placed("linux-vm", "a", DATABASE), ...apart(database) };
    expect(
      decide({ machine: db, machines: [self], antiAffine: [self], terms: apart(database) }),
    ).toBe("a");
  });

  it("preferred is given up when there is no other place", () => {
    const terms: Partial<PlacementTerms> = {
      affinity: {
        virtualMachineAndPodAntiAffinity: {
          preferredDuringSchedulingIgnoredDuringExecution: [
            { weight: 5, virtualMachineAndPodAffinityTerm: database },
          ],
        },
      },
    };
    const machines = [placed("db", "a", DATABASE)];
    expect(decide({ machines, terms })).toBe("b");
    expect(decide({ hosts: [host("a")], machines, terms })).toBe("a");
  });
});

describe("topology spread", () => {
  const zone = (name: string, value: string): PlacementHost =>
    host(name, { labels: { zone: value } });
  const hosts = [zone("a", "1"), zone("b", "1"), zone("c", "2")];
  const spread = (
    whenUnsatisfiable: "DoNotSchedule" | "ScheduleAnyway",
    maxSkew = 1,
  ): Partial<PlacementTerms> => ({
    topologySpreadConstraints: [
      {
        maxSkew,
        topologyKey: "zone",
        whenUnsatisfiable,
        labelSelector: { matchLabels: DATABASE },
      },
    ],
  });

  it.each<[string[], number, string]>([
    [[], 1, "a"],
    [["a"], 1, "c"],
    [["a", "b"], 1, "c"],
    [["a"], 2, "a"],
    [["a", "b", "c"], 1, "c"],
    [["a", "c"], 1, "a"],
  ])("of VMs on %j with skew %d goes to %s", (where, maxSkew, expected) => {
    const machines = where.map((name, index) => placed(`db-${index}`, name, DATABASE));
    expect(decide({ hosts, machine: db, machines, terms: spread("DoNotSchedule", maxSkew) })).toBe(
      expected,
    );
  });

  it("says by how much a host would be ahead, or that it has no such label", () => {
    const machines = [placed("1", "a", DATABASE), placed("2", "b", DATABASE)];
    const tight = [...hosts.slice(0, 2), { ...zone("c", "2"), freeMemoryBytes: 0 }, host("d")];
    expect(decide({ hosts: tight, machine: db, machines, terms: spread("DoNotSchedule") })).toEqual(
      {
        a: "would be 3 VMs ahead within its zone, and 1 is allowed",
        b: "would be 3 VMs ahead within its zone, and 1 is allowed",
        c: "has 0 B of memory left, and the VM needs 2.0 GiB",
        d: "has no label zone to spread VMs by",
      },
    );
  });

  it("counts only domains that the VM's other terms allow, and only its own namespace", () => {
    const nodeSelectors = [{ of: "the VM", selector: { matchLabels: { zone: "1" } } }];
    const machines = [
      placed("1", "a", DATABASE),
      { ...placed("2", "c", DATABASE), namespace: "other" },
    ];
    expect(
      decide({
        hosts,
        machine: db,
        machines,
        terms: { ...spread("DoNotSchedule"), nodeSelectors },
      }),
    ).toBe("a");
  });

  it("is a preference when it may be broken", () => {
    const machines = [placed("1", "a", DATABASE), placed("2", "b", DATABASE)];
    expect(decide({ hosts, machine: db, machines, terms: spread("ScheduleAnyway") })).toBe("c");
    expect(
      decide({ hosts: hosts.slice(0, 2), machine: db, machines, terms: spread("ScheduleAnyway") }),
    ).toBe("a");
  });
});
