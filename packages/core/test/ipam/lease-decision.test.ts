import { describe, expect, it } from "vitest";
import {
  decideLease,
  type LeaseDecision,
  type LeaseHolder,
  type LeaseInputs,
} from "../../src/ipam/lease-decision.ts";

const NAME = "ip-10-66-10-14";
const HINT = ": delete this VirtualMachineIPAddress and create it anew.";

function inputs(
  holder: LeaseHolder | "nobody" | undefined,
  more: Partial<LeaseInputs> = {},
): LeaseInputs {
  return {
    kind: "VirtualMachineIPAddress",
    claim: { namespace: "default", name: "mine" },
    address: "10.66.10.14",
    leaseName: NAME,
    wasBound: false,
    lease: holder && { holder: holder === "nobody" ? undefined : holder },
    ...more,
  };
}

const refuse = (suffix: string, message: string): LeaseDecision => ({
  action: "refuse",
  reason: `VirtualMachineIPAddress${suffix}`,
  message,
});
const taken = refuse(
  "LeaseAlreadyExists",
  'The IP address "10.66.10.14" belongs to existing VirtualMachineIPAddressLease and cannot be taken.',
);
const elsewhere = refuse(
  "LeaseNotReady",
  `The VirtualMachineIPAddressLease "${NAME}" belongs to a different namespace.`,
);
const lost = refuse("LeaseLost", `The VirtualMachineIPAddressLease "${NAME}" doesn't exist${HINT}`);
const another = refuse(
  "LeaseAlreadyExists",
  `The VirtualMachineIPAddressLease "${NAME}" already has a reference to another VirtualMachineIPAddress${HINT}`,
);

describe("decideLease", () => {
  it.each<[string, LeaseHolder | "nobody" | undefined, boolean, LeaseDecision]>([
    ["a free address is leased", undefined, false, { action: "create" }],
    ["a lost lease is an error", undefined, true, lost],
    ["its own lease is held", { namespace: "default", name: "mine" }, true, { action: "hold" }],
    [
      "its own lease is held, also when the status was not written",
      { namespace: "default", name: "mine" },
      false,
      { action: "hold" },
    ],
    [
      "what is kept for the namespace is taken over",
      { namespace: "default" },
      false,
      { action: "retake" },
    ],
    ["what is kept for another namespace is not", { namespace: "other" }, false, elsewhere],
    ["what is kept for nobody is not", "nobody", false, elsewhere],
    ["what somebody else holds is not", { namespace: "default", name: "theirs" }, false, taken],
    ["nor in another namespace", { namespace: "other", name: "mine" }, false, taken],
    ["a lease that went to another", { namespace: "default", name: "theirs" }, true, another],
    ["a lease that went to another namespace", { namespace: "other" }, true, another],
  ])("%s", (_, holder, wasBound, decision) => {
    expect(decideLease(inputs(holder, { wasBound }))).toEqual(decision);
  });

  it("speaks of MAC addresses where they are meant", () => {
    const claim = { kind: "VirtualMachineMACAddress", address: "5e:00:00:00:00:01" } as const;
    expect(decideLease(inputs({ namespace: "other", name: "theirs" }, claim))).toEqual({
      action: "refuse",
      reason: "VirtualMachineMACAddressLeaseAlreadyExists",
      message:
        'The MAC address "5e:00:00:00:00:01" belongs to existing VirtualMachineMACAddressLease and cannot be taken.',
    });
  });
});
