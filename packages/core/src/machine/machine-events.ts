import { findCondition } from "../api/conditions.ts";
import type { GuestRecord, GuestStopReason } from "../api/virtual-machine-status.ts";
import type { VirtualMachine } from "../api/virtual-machine.ts";
import { jsonEquals } from "../util/json.ts";

/** Something that has happened to a VM. */
export interface MachineEvent {
  readonly reason: string;
  readonly message: string;
  readonly type?: "Warning";
}

/** What has happened to a VM between two looks at it. Source: DVP, event reasons of VirtualMachine. */
export function machineEvents(before: VirtualMachine, after: VirtualMachine): MachineEvent[] {
  const was = before.status?.guest;
  const is = after.status?.guest;
  if (is === undefined) return waitingChanges(before, after);
  const started = is.incarnation > (was?.incarnation ?? 0);
  const stopped = is.state === "Stopped" && was !== undefined && was.state !== "Stopped";
  const changed = !jsonEquals(was?.appliedSpec, is.appliedSpec);
  const awaited = (before.status?.restartAwaitingChanges ?? []).length > 0;
  return [
    ...(stopped ? stopEvent(is, after) : []),
    ...(started ? startEvent(was, after) : []),
    ...moveEvent(was, is),
    ...(was !== undefined && changed && (started ? awaited : is.state === "Running")
      ? [{ reason: "ChangesApplied", message: "Changes of the configuration were applied." }]
      : []),
    ...waitingChanges(before, after),
  ];
}

function startEvent(was: GuestRecord | undefined, { spec }: VirtualMachine): MachineEvent[] {
  const { runPolicy } = spec;
  const restarted = (message: string): MachineEvent[] => [{ reason: "Restarted", message }];
  if (was?.startRequested === true && was.stopReason !== "StoppedForRestart") {
    const message = `Start initiated by VirtualMachineOperation for ${runPolicy} runPolicy`;
    return [{ reason: "Started", message }];
  }
  switch (was?.stopReason) {
    case "StoppedForRestart":
      return spec.disruptions.restartApprovalMode === "Automatic" && was.operation === undefined
        ? restarted("Restart initiated by controller to apply changes")
        : restarted(`Restart initiated by VirtualMachineOperation for ${runPolicy} runPolicy`);
    case "GuestReset":
      return restarted("Restart initiated from inside the guest VirtualMachine");
    case "GuestShutdown":
      return restarted(
        `Restart initiated by controller after stopping from inside the guest VirtualMachine for ${runPolicy} runPolicy`,
      );
    case "Crashed":
    case "HostLost":
    case "Lost":
      return restarted(
        `Restart initiated by controller after the guest was lost for ${runPolicy} runPolicy`,
      );
    case "StartFailed":
      return [{ reason: "Started", message: "Start is tried again by controller" }];
    case "StoppedByPolicy":
    case "StoppedByOperation":
    case "StoppedForMaintenance":
    case "Stopped":
      return [
        { reason: "Started", message: `Start initiated by controller for ${runPolicy} policy` },
      ];
    case undefined:
      return [
        {
          reason: "Started",
          message: `Start on create initiated by controller for ${runPolicy} policy`,
        },
      ];
  }
}

/** What is told of a guest that has stopped; nothing where a start follows at once, which is told. */
const STOPS: Readonly<Record<GuestStopReason, string | undefined>> = {
  GuestShutdown: "Stop initiated from inside the guest VirtualMachine",
  GuestReset: undefined,
  Stopped: "The guest was stopped on its host",
  StoppedByPolicy: "Stop initiated by controller to ensure AlwaysOff policy",
  StoppedByOperation: "Stop initiated by VirtualMachineOperation for the runPolicy",
  StoppedForRestart: undefined,
  StoppedForMaintenance: "Stop initiated by controller to restore the VirtualMachine",
  Crashed: "The guest has crashed",
  HostLost: "The guest was lost with its host",
  StartFailed: "The guest could not be started",
  Lost: "The guest was lost with its host",
};

const FAILURES: readonly GuestStopReason[] = ["Crashed", "HostLost", "StartFailed", "Lost"];

function stopEvent({ stopReason }: GuestRecord, { spec, status }: VirtualMachine): MachineEvent[] {
  const text = stopReason && STOPS[stopReason];
  if (text === undefined) return [];
  const message = text.replace("the runPolicy", `${spec.runPolicy} runPolicy`);
  if (!FAILURES.includes(stopReason as GuestStopReason)) return [{ reason: "Stopped", message }];
  const why = findCondition(status?.conditions, "Running")?.message ?? "";
  return [{ reason: "Failed", message: why === "" ? message : why, type: "Warning" }];
}

function moveEvent(was: GuestRecord | undefined, is: GuestRecord): MachineEvent[] {
  if (was?.state !== "Running" || is.state !== "Running") return [];
  if (was.incarnation !== is.incarnation || was.host === is.host) return [];
  if (was.host === undefined || is.host === undefined) return [];
  return [{ reason: "Migrated", message: `The guest was migrated from ${was.host} to ${is.host}` }];
}

const AWAITING = "AwaitingRestartToApplyConfiguration";

function waitingChanges(before: VirtualMachine, after: VirtualMachine): MachineEvent[] {
  const [was, is] = [before, after].map(
    ({ status }) => findCondition(status?.conditions, AWAITING)?.status === "True",
  );
  if (was === is || is !== true) return [];
  const paths = (after.status?.restartAwaitingChanges ?? []).map(({ path }) => path).join(", ");
  return [{ reason: "RestartAwaitingChanges", message: `Changes wait for a restart: ${paths}` }];
}
