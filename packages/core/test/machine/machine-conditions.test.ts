import type { GuestDevice, GuestRecord, GuestStopReason } from "@polyvisor/core";
import { describe, expect, it } from "vitest";
import type { GuestObservation } from "../../src/machine/guest-record.ts";
import {
  type PhaseInputs,
  runningCondition,
  virtualMachinePhase,
} from "../../src/machine/machine-conditions.ts";
import { runningConditions, type RunningInputs } from "../../src/machine/running-conditions.ts";
import { guest, record } from "../support/resources.ts";

const UNKNOWN: GuestObservation = { state: "unknown" };
const ABSENT: GuestObservation = { state: "absent" };

function present(power: Parameters<typeof guest>[0]): GuestObservation {
  return { state: "present", guest: guest(power) };
}

describe("virtualMachinePhase", () => {
  it.each<[string, Partial<PhaseInputs>]>([
    ["Stopped", {}],
    ["Pending", { startWanted: true }],
    ["Stopped", { record: record("Stopped") }],
    ["Pending", { record: record("Stopped"), startWanted: true }],
    ["Starting", { record: record("Starting") }],
    ["Running", { record: record("Running"), observation: present("running") }],
    ["Running", { record: record("Running"), observation: UNKNOWN }],
    ["Pause", { record: record("Running"), observation: present("paused") }],
    ["Stopping", { record: record("Running"), observation: present("stopping") }],
    ["Stopping", { record: record("Stopping"), observation: present("running") }],
    ["Terminating", { record: record("Running"), deleting: true }],
    ["Terminating", { deleting: true }],
  ])("is %s (%#)", (phase, inputs) => {
    const base = { deleting: false, record: undefined, observation: ABSENT, startWanted: false };
    expect(virtualMachinePhase({ ...base, ...inputs })).toBe(phase);
  });
});

describe("runningCondition", () => {
  it("is True for a guest that is known to run", () => {
    expect(runningCondition(record("Running"), present("running"), undefined)).toEqual({
      type: "Running",
      status: "True",
      reason: "Running",
      message: "",
    });
  });

  it("is Unknown, with what to do, when the host of a running guest does not answer", () => {
    expect(runningCondition(record("Running"), UNKNOWN, undefined)).toEqual({
      type: "Running",
      status: "Unknown",
      reason: "HostNotReachable",
      message:
        'Host "node-1" does not answer, so it is not known whether the guest runs: check the host.',
    });
  });

  it.each<[GuestStopReason, string]>([
    ["GuestShutdown", "it was shut down from inside"],
    ["Stopped", "it was stopped on its host"],
    ["StoppedByPolicy", "the run policy wants it to be off"],
    ["Crashed", "it crashed"],
    ["StartFailed", "it did not start"],
    ["Lost", "its host no longer has it"],
  ])("says of a guest that ended by %s why", (stopReason, text) => {
    const known = record("Stopped", { stopReason });
    const message = `The guest does not run: ${text}.`;
    expect(runningCondition(known, ABSENT, undefined)).toMatchObject({ status: "False", message });
    const problem = "The guest could not be started";
    expect(runningCondition(known, ABSENT, problem)).toMatchObject({ message: problem });
  });

  it.each<[GuestRecord | undefined]>([[undefined], [record("Starting")], [record("Stopping")]])(
    "is False without a reason to name (%#)",
    (known) => {
      const expected = { status: "False", reason: "NotRunning", message: "" };
      expect(runningCondition(known, UNKNOWN, undefined)).toMatchObject(expected);
    },
  );
});

describe("runningConditions", () => {
  const RUNS = present("running");
  const ABLE = { migration: true, agent: true };

  /** `type=status/reason` of each. */
  function found(more: Partial<RunningInputs>): string[] {
    return runningConditions({
      record: record("Running", { devices: [device("root", true)] }),
      observation: RUNS,
      capabilities: ABLE,
      awaitingRestart: [],
      agentSupported: true,
      evictionReason: undefined,
      maintenance: false,
      ...more,
    }).map(({ type, status, reason }) => `${type}=${status}/${reason}`);
  }

  function device(name: string, shared: boolean): GuestDevice {
    return { kind: "VirtualDisk", name, volume: `vd-${name}`, state: "Attached", shared };
  }

  const AGENT: GuestObservation = {
    state: "present",
    guest: { ...guest("running"), agentConnected: true },
  };
  const READY = ["AgentReady=True/AgentReady", "Migratable=True/VirtualMachineMigratable"];

  it.each<[string, Partial<RunningInputs>, string[]]>([
    ["a guest whose agent answers", { observation: AGENT }, READY],
    ["one without", {}, ["AgentReady=False/AgentNotReady", READY[1] ?? ""]],
    [
      "an agent that is too old",
      { observation: AGENT, agentSupported: false },
      [READY[0] ?? "", "AgentVersionNotSupported=True/AgentVersionNotSupported", READY[1] ?? ""],
    ],
    [
      "frozen file systems",
      {
        observation: {
          state: "present",
          guest: { ...guest("running"), agentConnected: true, frozen: true },
        },
      },
      [READY[0] ?? "", "FilesystemFrozen=True/Frozen", READY[1] ?? ""],
    ],
    [
      "a disk that only one host can have",
      { observation: AGENT, record: record("Running", { devices: [device("a", false)] }) },
      [READY[0] ?? "", "Migratable=False/VirtualMachineDisksNotMigratable"],
    ],
    [
      "a hypervisor that does not migrate",
      { observation: AGENT, capabilities: { migration: false, agent: true } },
      [READY[0] ?? "", "Migratable=False/VirtualMachineNonMigratable"],
    ],
    [
      "a migration",
      {
        observation: AGENT,
        record: record("Running", {
          migration: { id: "1", source: "a", target: "b", autoConverge: false, since: "" },
        }),
      },
      [...READY, "Migrating=True/InProgress"],
    ],
    [
      "a node that is to be emptied",
      { observation: AGENT, evictionReason: "Node is to be emptied" },
      [...READY, "EvictionRequired=True/EvictionRequired"],
    ],
    ["a guest that is off", { record: record("Stopped") }, []],
    [
      "changes that wait",
      {
        record: record("Stopping"),
        awaitingRestart: [{ operation: "replace", path: "cpu.cores" }],
      },
      [
        "ConfigurationApplied=False/ConfigurationNotApplied",
        "AwaitingRestartToApplyConfiguration=True/ChangesPendingRestart",
      ],
    ],
    [
      "a restore",
      { record: record("Stopped"), maintenance: true },
      ["Maintenance=True/RestoreInProgress"],
    ],
  ])("of %s", (_, more, expected) => {
    expect(found(more)).toEqual(expected);
  });
});
