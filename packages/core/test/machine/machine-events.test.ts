import type {
  GuestRecord,
  GuestStopReason,
  VirtualMachine,
  VirtualMachineStatus,
} from "@polyvisor/core";
import { describe, expect, it } from "vitest";
import { machineEvents } from "../../src/machine/machine-events.ts";
import { machine, machineSpec, record } from "../support/resources.ts";

type Spec = Parameters<typeof machine>[1];

function vm(
  guest: GuestRecord | undefined,
  status: Partial<VirtualMachineStatus> = {},
  spec: Spec = {},
): VirtualMachine {
  return {
    ...machine("linux", spec),
    status: {
      phase: "Running",
      conditions: [],
      observedGeneration: 1,
      ...(guest && { guest }),
      ...status,
    },
  };
}

function told(before: VirtualMachine, after: VirtualMachine): string[] {
  return machineEvents(before, after).map(
    ({ type = "Normal", reason, message }) => `${type} ${reason}: ${message}`,
  );
}

const stoppedFor = (stopReason: GuestStopReason, more: Partial<GuestRecord> = {}): GuestRecord =>
  record("Stopped", { stopReason, ...more });
const next = record("Starting", { incarnation: 4 });

describe("a start is told, and who wanted it", () => {
  it.each<[GuestRecord | undefined, Spec, string]>([
    [
      undefined,
      {},
      "Normal Started: Start on create initiated by controller for AlwaysOnUnlessStoppedManually policy",
    ],
    [
      record("Stopped", { incarnation: 0, startRequested: true }),
      { runPolicy: "Manual" },
      "Normal Started: Start initiated by VirtualMachineOperation for Manual runPolicy",
    ],
    [
      stoppedFor("StoppedForRestart"),
      { runPolicy: "AlwaysOn" },
      "Normal Restarted: Restart initiated by VirtualMachineOperation for AlwaysOn runPolicy",
    ],
    [
      stoppedFor("StoppedForRestart", { startRequested: true }),
      { runPolicy: "Manual" },
      "Normal Restarted: Restart initiated by VirtualMachineOperation for Manual runPolicy",
    ],
    [
      stoppedFor("StoppedForRestart"),
      { disruptions: { restartApprovalMode: "Automatic" } },
      "Normal Restarted: Restart initiated by controller to apply changes",
    ],
    [
      stoppedFor("GuestReset"),
      {},
      "Normal Restarted: Restart initiated from inside the guest VirtualMachine",
    ],
    [
      stoppedFor("GuestShutdown"),
      { runPolicy: "AlwaysOn" },
      "Normal Restarted: Restart initiated by controller after stopping from inside the guest VirtualMachine for AlwaysOn runPolicy",
    ],
    [
      stoppedFor("Crashed"),
      { runPolicy: "AlwaysOn" },
      "Normal Restarted: Restart initiated by controller after the guest was lost for AlwaysOn runPolicy",
    ],
    [stoppedFor("StartFailed"), {}, "Normal Started: Start is tried again by controller"],
    [
      stoppedFor("StoppedByPolicy"),
      { runPolicy: "AlwaysOn" },
      "Normal Started: Start initiated by controller for AlwaysOn policy",
    ],
  ])("%j %j", (was, spec, event) => {
    expect(told(vm(was, {}, spec), vm(next, {}, spec))).toEqual([event]);
  });
});

describe("a stop is told, unless a start follows at once", () => {
  it.each<[GuestStopReason, string | undefined]>([
    ["GuestShutdown", "Normal Stopped: Stop initiated from inside the guest VirtualMachine"],
    ["StoppedByPolicy", "Normal Stopped: Stop initiated by controller to ensure AlwaysOff policy"],
    [
      "StoppedByOperation",
      "Normal Stopped: Stop initiated by VirtualMachineOperation for AlwaysOnUnlessStoppedManually runPolicy",
    ],
    [
      "StoppedForMaintenance",
      "Normal Stopped: Stop initiated by controller to restore the VirtualMachine",
    ],
    ["Stopped", "Normal Stopped: The guest was stopped on its host"],
    ["Crashed", "Warning Failed: The guest has crashed"],
    ["HostLost", "Warning Failed: The guest was lost with its host"],
    ["StartFailed", "Warning Failed: The guest could not be started"],
    ["GuestReset", undefined],
    ["StoppedForRestart", undefined],
  ])("%s", (stopReason, event) => {
    expect(told(vm(record("Running")), vm(stoppedFor(stopReason)))).toEqual(event ? [event] : []);
  });

  it("with the words of the condition where there are any", () => {
    const running = {
      type: "Running",
      status: "False" as const,
      reason: "NotRunning",
      message: "No bootable device.",
      lastTransitionTime: "2026-01-01T00:00:00Z",
    };
    const failed = vm(stoppedFor("StartFailed"), { conditions: [running] });
    expect(told(vm(record("Starting")), failed)).toEqual(["Warning Failed: No bootable device."]);
  });
});

describe("what else happens to a running VM", () => {
  const applied = (cores: number): Partial<GuestRecord> => ({
    appliedSpec: machineSpec({ cpu: { cores, coreFraction: "100%" } }),
  });
  const awaiting = (status: "True" | "False"): Partial<VirtualMachineStatus> => ({
    conditions: [
      {
        type: "AwaitingRestartToApplyConfiguration",
        status,
        reason: "ChangesPendingRestart",
        message: "",
        lastTransitionTime: "2026-01-01T00:00:00Z",
      },
    ],
    ...(status === "True" && {
      restartAwaitingChanges: [{ operation: "replace" as const, path: "cpu.cores" }],
    }),
  });

  it("is a migration", () => {
    const moved = vm(record("Running", { host: "node-2" }));
    expect(told(vm(record("Running")), moved)).toEqual([
      "Normal Migrated: The guest was migrated from node-1 to node-2",
    ]);
  });

  it("is a change that waits, told once", () => {
    const waits = vm(record("Running"), awaiting("True"));
    expect(told(vm(record("Running")), waits)).toEqual([
      "Normal RestartAwaitingChanges: Changes wait for a restart: cpu.cores",
    ]);
    expect(told(waits, waits)).toEqual([]);
  });

  it("is a change that is applied, at once or by a restart", () => {
    const running = (cores: number): VirtualMachine => vm(record("Running", applied(cores)));
    expect(told(running(1), running(2))).toEqual([
      "Normal ChangesApplied: Changes of the configuration were applied.",
    ]);
    const waits = vm(stoppedFor("StoppedForRestart", applied(1)), awaiting("True"));
    const restarted = vm({ ...next, ...applied(2) }, awaiting("False"));
    expect(told(waits, restarted)).toEqual([
      "Normal Restarted: Restart initiated by VirtualMachineOperation for AlwaysOnUnlessStoppedManually runPolicy",
      "Normal ChangesApplied: Changes of the configuration were applied.",
    ]);
  });

  it("is nothing when only the record's outer parts change", () => {
    const operation = { uid: "u", incarnation: 3 };
    expect(told(vm(record("Running")), vm(record("Running", { operation })))).toEqual([]);
    expect(told(vm(undefined), vm(undefined))).toEqual([]);
  });
});
