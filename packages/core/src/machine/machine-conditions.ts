import type { ConditionInput } from "../api/conditions.ts";
import type { GuestRecord, VirtualMachinePhase } from "../api/virtual-machine-status.ts";
import type { GuestObservation } from "./guest-record.ts";

/** A condition that is True, or False or Unknown for a reason. */
export function condition(
  type: string,
  status: "True" | "False" | "Unknown",
  reason: string,
  message = "",
): ConditionInput {
  return { type, status, reason, message };
}

/** What a VM's phase depends on. */
export interface PhaseInputs {
  readonly deleting: boolean;
  readonly record: GuestRecord | undefined;
  readonly observation: GuestObservation;
  /** True when a start is wanted. */
  readonly startWanted: boolean;
}

/** The phase of a VM. Source: DVP, "VM phase mapping". */
export function virtualMachinePhase(inputs: PhaseInputs): VirtualMachinePhase {
  const { deleting, record, observation, startWanted } = inputs;
  if (deleting) return "Terminating";
  const power = observation.state === "present" ? observation.guest.power : undefined;
  switch (record?.state) {
    case "Starting":
      return power === "pending" ? "Pending" : "Starting";
    case "Stopping":
      return "Stopping";
    case "Running":
      if (record.migration !== undefined) return "Migrating";
      return power === "paused" ? "Pause" : power === "stopping" ? "Stopping" : "Running";
    case "Stopped":
    case undefined:
      return startWanted ? "Pending" : "Stopped";
  }
}

/** The condition `Running`. */
export function runningCondition(
  record: GuestRecord | undefined,
  observation: GuestObservation,
  problem: string | undefined,
): ConditionInput {
  if (record?.state === "Running" && observation.state === "unknown") {
    return condition(
      "Running",
      "Unknown",
      "HostNotReachable",
      `Host ${JSON.stringify(record.host)} does not answer, so it is not known whether the guest runs: check the host.`,
    );
  }
  if (record?.state === "Running") return condition("Running", "True", "Running");
  const waiting = observation.state === "present" ? observation.guest.message : undefined;
  const ended =
    record?.state === "Stopped" && record.stopReason !== undefined
      ? `The guest does not run: ${STOP_TEXTS[record.stopReason]}.`
      : "";
  return condition("Running", "False", "NotRunning", problem ?? waiting ?? ended);
}

const STOP_TEXTS: Readonly<Record<NonNullable<GuestRecord["stopReason"]>, string>> = {
  GuestShutdown: "it was shut down from inside",
  GuestReset: "it asked for a reboot",
  Stopped: "it was stopped on its host",
  StoppedByPolicy: "the run policy wants it to be off",
  StoppedByOperation: "an operation stopped it",
  StoppedForRestart: "it is being restarted",
  StoppedForMaintenance: "the VM is being restored",
  Crashed: "it crashed",
  HostLost: "its host was lost",
  StartFailed: "it did not start",
  Lost: "its host no longer has it",
};
