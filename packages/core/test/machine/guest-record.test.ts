import type { GuestRecord, StopReason } from "@polyvisor/core";
import { describe, expect, it } from "vitest";
import { type GuestObservation, recordObservation } from "../../src/machine/guest-record.ts";
import { guest, machineSpec, record } from "../support/resources.ts";

const UNKNOWN: GuestObservation = { state: "unknown" };
const ABSENT: GuestObservation = { state: "absent" };
const OLDER = { incarnation: 2 };
const SOON = "2026-01-01T00:09:59Z";
const LATE = "2026-01-01T00:10:00Z";

function present(...state: Parameters<typeof guest>): GuestObservation {
  return { state: "present", guest: guest(...state) };
}

describe("an observation that says nothing new keeps the record as it is", () => {
  it.each<[string, GuestRecord | undefined, GuestObservation]>([
    ["Starting, unknown", record("Starting"), UNKNOWN],
    ["Running, unknown", record("Running"), UNKNOWN],
    ["Stopping, unknown", record("Stopping"), UNKNOWN],
    ["Stopped, unknown", record("Stopped"), UNKNOWN],
    ["nothing, unknown", undefined, UNKNOWN],
    ["nothing, absent", undefined, ABSENT],
    ["nothing, stopped guest", undefined, present("stopped")],
    ["Starting, absent", record("Starting"), ABSENT],
    ["Stopped, absent", record("Stopped"), ABSENT],
    ["Stopped, stopped guest", record("Stopped"), present("stopped", { stopReason: "crashed" })],
    ["Running, running guest", record("Running"), present("running")],
    ["Running, paused guest", record("Running"), present("paused")],
    ["Running, stopping guest", record("Running"), present("stopping")],
    ["Stopping, running guest", record("Stopping"), present("running")],
    ["Starting, an older one that stopped", record("Starting"), present("stopped", OLDER)],
    ["Stopped, an older one that stopped", record("Stopped"), present("stopped", OLDER)],
    ["Running, an older one runs", record("Running"), present("running", OLDER)],
    ["Starting, an older one runs", record("Starting"), present("running", OLDER)],
  ])("%s", (_, before, observation) => {
    expect(recordObservation(before, observation, SOON)).toBe(before);
  });
});

describe("a guest that has ended", () => {
  it.each<[StopReason | undefined, GuestRecord["stopReason"], number]>([
    ["guest-shutdown", "GuestShutdown", 2],
    ["stopped", "Stopped", 0],
    ["crashed", "Crashed", 2],
    ["start-failed", "StartFailed", 2],
    ["unknown", "Lost", 2],
    [undefined, "Lost", 2],
  ])("while Starting or Running by %s is recorded as %s", (stopReason, recorded, failures) => {
    const observation = present("stopped", { ...(stopReason && { stopReason }) });
    for (const state of ["Starting", "Running"] as const) {
      const before = record(state, { failures: 1, appliedSpec: machineSpec() });
      expect(recordObservation(before, observation, SOON)).toEqual(
        record("Stopped", { stopReason: recorded ?? "Lost", failures, since: SOON }),
      );
    }
  });

  it.each([
    ABSENT,
    present("stopped", { stopReason: "guest-shutdown" }),
    present("stopped", OLDER),
  ])("while Stopping was stopped by the policy, whatever is observed", (observation) => {
    expect(recordObservation(record("Stopping", { failures: 4 }), observation, SOON)).toEqual(
      record("Stopped", { stopReason: "StoppedByPolicy", failures: 0, since: SOON }),
    );
  });

  it("is lost when its host answers and does not have it", () => {
    for (const observation of [ABSENT, present("stopped", OLDER)]) {
      expect(recordObservation(record("Running"), observation, SOON)).toEqual(
        record("Stopped", { stopReason: "Lost", failures: 1, since: SOON }),
      );
    }
  });

  it.each([
    [SOON, 4, 5],
    [LATE, 4, 1],
  ])("at %s after %d failures has %d in a row", (now, before, after) => {
    const ended = present("stopped", { stopReason: "crashed" });
    const running = record("Running", { failures: before });
    expect(recordObservation(running, ended, now)?.failures).toBe(after);
  });

  it("does not count a long Starting as a stable run", () => {
    const ended = present("stopped", { stopReason: "start-failed" });
    expect(recordObservation(record("Starting", { failures: 4 }), ended, LATE)?.failures).toBe(5);
  });
});

describe("a guest that runs is never denied", () => {
  it.each<[string, GuestRecord | undefined]>([
    ["without a record", undefined],
    ["though it was recorded as stopped", record("Stopped", { stopReason: "Crashed" })],
    ["after its start was begun", record("Starting")],
  ])("%s", (_, before) => {
    for (const power of ["running", "paused", "stopping"] as const) {
      expect(recordObservation(before, present(power), SOON)).toEqual(
        record("Running", { since: SOON }),
      );
    }
  });

  it("keeps failures and what the guest was built from, and takes host and incarnation over", () => {
    const appliedSpec = machineSpec({ runPolicy: "Manual" });
    const before = record("Starting", { failures: 2, appliedSpec });
    const observed = present("running", { host: "node-2", incarnation: 5 });
    expect(recordObservation(before, observed, SOON)).toEqual(
      record("Running", { failures: 2, appliedSpec, host: "node-2", incarnation: 5, since: SOON }),
    );
  });
});

describe("a guest that asks for a reboot", () => {
  const RESET = present("stopped", { stopReason: "guest-reset" });
  it.each([
    ["2026-01-01T00:00:59Z", 5],
    ["2026-01-01T00:01:00Z", 0],
  ])("at %s has %d failures in a row", (now, failures) => {
    expect(recordObservation(record("Running", { failures: 4 }), RESET, now)).toMatchObject({
      stopReason: "GuestReset",
      failures,
    });
  });
});

describe("a guest that is being stopped ends by what it is stopped for", () => {
  it.each(["StoppedByOperation", "StoppedForRestart", "StoppedForMaintenance"] as const)(
    "%s",
    (stopCause) => {
      const before = record("Stopping", { stopCause, forced: true, failures: 3 });
      const after = recordObservation(before, present("stopped"), SOON);
      expect(after).toEqual(record("Stopped", { stopReason: stopCause, since: SOON }));
    },
  );
});

describe("the host of a guest that runs", () => {
  const elsewhere = present("running", { host: "node-2" });
  const migration = { id: "1", source: "node-1", target: "node-2", autoConverge: false, since: "" };

  it("is where it is seen", () => {
    expect(recordObservation(record("Running"), elsewhere, SOON)?.host).toBe("node-2");
  });

  it("is changed by the end of a migration alone while there is one", () => {
    const before = record("Running", { migration });
    expect(recordObservation(before, elsewhere, SOON)).toBe(before);
  });

  it("becomes known while a scheduler looks for it", () => {
    const { host: _, ...before } = record("Starting");
    expect(recordObservation(before, present("pending", { host: "node-2" }), SOON)).toEqual({
      ...before,
      host: "node-2",
    });
  });
});
