import { describe, expect, it } from "vitest";
import {
  type ConsistencyDecision,
  type ConsistencyInputs,
  decideConsistency,
  type SnapshottedGuest,
} from "../../src/snapshots/snapshot-consistency.ts";

function guest(more: Partial<SnapshottedGuest> = {}): SnapshottedGuest {
  return { virtualMachineName: "linux-vm", state: "running", freezable: true, ...more };
}

const still: ConsistencyDecision = { action: "take", freeze: false, consistent: true };
const frozen: ConsistencyDecision = { action: "take", freeze: true, consistent: true };
const asItIs: ConsistencyDecision = { action: "take", freeze: false, consistent: false };

function decide(inputs: Partial<ConsistencyInputs>): ConsistencyDecision {
  return decideConsistency({
    kind: "VirtualDiskSnapshot",
    requiredConsistency: true,
    guest: guest(),
    ...inputs,
  });
}

describe("a snapshot", () => {
  // The first three rows are those of the user guide.
  it.each<[string, Partial<ConsistencyInputs>, ConsistencyDecision]>([
    ["of a disk that no VM has", { guest: undefined }, still],
    ["of a disk of a VM that is off", { guest: guest({ state: "off", freezable: false }) }, still],
    ["of a disk of a running VM with an agent", {}, frozen],
    [
      "that need not be consistent, of a disk, is frozen as well",
      { requiredConsistency: false },
      frozen,
    ],
    [
      "that need not be consistent, of a VM, is not",
      { kind: "VirtualMachineSnapshot", requiredConsistency: false },
      asItIs,
    ],
    ["that must be consistent, of a VM", { kind: "VirtualMachineSnapshot" }, frozen],
    [
      "that need not be consistent, without an agent",
      { requiredConsistency: false, guest: guest({ freezable: false }) },
      asItIs,
    ],
    [
      "that need not be consistent, when freezing has failed",
      { requiredConsistency: false, freezeProblem: "the agent says no" },
      asItIs,
    ],
    [
      "of a VM that is off need not ask whether it must be consistent",
      { requiredConsistency: false, guest: guest({ state: "off" }) },
      still,
    ],
  ])("%s", (_, inputs, decision) => {
    expect(decide(inputs)).toEqual(decision);
  });

  it.each<[string, Partial<ConsistencyInputs>, "fail" | "wait", string]>([
    [
      "fails without an agent",
      { guest: guest({ freezable: false }) },
      "fail",
      "The snapshot would be potentially inconsistent: the virtual machine agent is not ready and the virtual machine cannot be frozen.",
    ],
    [
      "fails when freezing has failed",
      { freezeProblem: "the agent says no" },
      "fail",
      "The snapshot would be potentially inconsistent: the agent says no and the virtual machine cannot be frozen.",
    ],
    [
      "waits for a guest of which it is not known whether it runs",
      { guest: guest({ state: "unclear" }) },
      "wait",
      'VirtualMachine "linux-vm" is starting, stopping or moving, or its host does not answer',
    ],
    [
      "waits for it also when it need not be consistent",
      { guest: guest({ state: "unclear" }), requiredConsistency: false },
      "wait",
      "waiting for it to be running or stopped",
    ],
  ])("%s", (_, inputs, action, message) => {
    expect(decide(inputs)).toEqual({ action, message: expect.stringContaining(message) });
  });
});
