import type { GuestRecord, GuestStopReason } from "@polyvisor/core";
import { describe, expect, it } from "vitest";
import type { GuestObservation } from "../../src/machine/guest-record.ts";
import {
  type PhaseInputs,
  runningCondition,
  virtualMachinePhase,
} from "../../src/machine/machine-conditions.ts";
import { waitingChanges } from "../../src/machine/waiting-changes.ts";
import { guest, machineSpec, record } from "../support/resources.ts";

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

describe("waitingChanges", () => {
  const applied = machineSpec({ nodeSelector: { a: "b" } });

  it.each([
    ["nothing runs", machineSpec({ memory: { size: "2Gi" } }), undefined],
    ["nothing has changed", structuredClone(applied), applied],
    [
      "the change acts at once",
      machineSpec({
        ...applied,
        runPolicy: "AlwaysOff",
        terminationGracePeriodSeconds: 1,
        liveMigrationPolicy: "AlwaysForced",
        disruptions: { restartApprovalMode: "Automatic" },
      }),
      applied,
    ],
  ])("are none when %s", (_, wanted, built) => {
    expect(waitingChanges(wanted, built)).toEqual([]);
  });

  it("names every field that waits, added and removed ones too", () => {
    const { nodeSelector: _, ...rest } = applied;
    const wanted = { ...rest, memory: { size: "2Gi" }, virtualMachineIPAddressName: "mine" };
    expect(waitingChanges(wanted, applied)).toEqual([
      {
        type: "AwaitingRestartToApplyConfiguration",
        status: "True",
        reason: "ChangesPendingRestart",
        message: expect.stringMatching(
          /^Changes of (?=.*spec\.memory)(?=.*spec\.nodeSelector)(?=.*spec\.virtualMachineIPAddressName).* take effect at the next start of the guest\.$/,
        ),
      },
    ]);
  });
});
