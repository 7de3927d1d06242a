import { type ResourceTable, resourceTable } from "@polyvisor/core";
import { describe, expect, it } from "vitest";
import { formatAge } from "../../src/platform/resource-table.ts";
import { disk, image, machine, record, storageClass } from "../support/resources.ts";

const now = Date.UTC(2026, 0, 3);

function rows(table: ResourceTable): Record<string, string>[] {
  return table.rows.map((row) =>
    Object.fromEntries(table.columns.map((column, index) => [column, row[index] ?? "?"])),
  );
}

describe("resourceTable", () => {
  const vm = {
    ...machine("linux"),
    status: {
      phase: "Running" as const,
      nodeName: "node-1",
      ipAddress: "10.66.10.2",
      resources: { cpu: { cores: 2, coreFraction: "50%" }, memory: { size: "1Gi" } },
      stats: { lastStartTime: "2026-01-02T23:59:00Z" },
      guest: record("Running"),
      conditions: [
        {
          type: "AwaitingRestartToApplyConfiguration",
          status: "True" as const,
          reason: "ChangesPendingRestart",
          message: "",
          lastTransitionTime: "2026-01-01T00:00:00Z",
        },
      ],
      observedGeneration: 1,
    },
  };

  it("has the columns of a VM, and more when it is wide", () => {
    const narrow = {
      NAME: "linux",
      PHASE: "Running",
      UPTIME: "60s",
      NODE: "node-1",
      IPADDRESS: "10.66.10.2",
      AGE: "2d",
    };
    expect(rows(resourceTable("VirtualMachine", [vm], { now }))).toEqual([narrow]);
    expect(rows(resourceTable("VirtualMachine", [vm], { now, wide: true }))).toEqual([
      {
        ...narrow,
        CORES: "2",
        COREFRACTION: "50%",
        MEMORY: "1Gi",
        "NEED RESTART": "True",
        AGENT: "",
        MIGRATABLE: "",
      },
    ]);
  });

  it("leaves empty what is not known yet", () => {
    const table = resourceTable("VirtualMachine", [machine("new")], { now, wide: true });
    const [row] = rows(table);
    expect(row).toEqual({
      ...Object.fromEntries(table.columns.map((column) => [column, ""])),
      NAME: "new",
      AGE: "2d",
    });
  });

  it.each([
    [resourceTable("VirtualDisk", [disk("d")], { now }), "NAME PHASE CAPACITY VIRTUALMACHINE AGE"],
    [
      resourceTable("VirtualDisk", [disk("d")], { now, wide: true }),
      "NAME PHASE CAPACITY INUSE VIRTUALMACHINE PROGRESS STORAGECLASS TARGETPVC AGE",
    ],
    [resourceTable("VirtualImage", [image("i")], { now }), "NAME PHASE CDROM PROGRESS AGE"],
    [
      resourceTable("VirtualImage", [image("i")], { now, wide: true }),
      "NAME PHASE CDROM PROGRESS STOREDSIZE UNPACKEDSIZE REGISTRY URL TARGETPVC AGE",
    ],
    [
      resourceTable("StorageClass", [storageClass("s")], { now }),
      "NAME PROVISIONER RECLAIMPOLICY VOLUMEBINDINGMODE ALLOWVOLUMEEXPANSION AGE",
    ],
    [resourceTable("Node", [], { now }), "NAME STATUS VERSION AGE"],
    [resourceTable("Secret", [], { now }), "NAME TYPE DATA AGE"],
    [resourceTable("VirtualMachineClass", [], { now }), "NAME PHASE ISDEFAULT AGE"],
    [resourceTable("VirtualMachineIPAddress", [], { now }), "NAME ADDRESS STATUS VM AGE"],
    [
      resourceTable("VirtualMachineIPAddressLease", [], { now }),
      "NAME VIRTUALMACHINEIPADDRESS STATUS AGE",
    ],
  ])("has the columns of kubectl (%#)", (table, columns) => {
    expect(table.columns.join(" ")).toBe(columns);
  });
});

describe("formatAge", () => {
  const [minute, hour, day] = [60, 3600, 86_400];
  it.each([
    [-5, "0s"],
    [0, "0s"],
    [4, "4s"],
    [119, "119s"],
    [2 * minute, "2m"],
    [2 * minute + 30, "2m30s"],
    [9 * minute + 59, "9m59s"],
    [10 * minute + 59, "10m"],
    [3 * hour - 1, "179m"],
    [3 * hour, "3h"],
    [7 * hour + 40 * minute, "7h40m"],
    [8 * hour + 59 * minute, "8h"],
    [47 * hour, "47h"],
    [2 * day, "2d"],
    [2 * day + 5 * hour, "2d5h"],
    [8 * day + 5 * hour, "8d"],
    [400 * day, "400d"],
  ])("of %d seconds is %s", (seconds, text) => {
    expect(formatAge(seconds * 1000 + 999)).toBe(text);
  });
});
