import type { FrozenGuest } from "../api/virtual-disk-snapshot.ts";
import type { VirtualMachine } from "../api/virtual-machine.ts";
import type { SnapshottedGuest } from "../snapshots/snapshot-consistency.ts";
import { timeLimit, timestamp } from "../util/clock.ts";
import { isPolyvisorError } from "../util/errors.ts";
import type { ControllerContext } from "./controller-context.ts";

/** The guest of a VM, as far as snapshots go. */
export interface FoundGuest extends SnapshottedGuest {
  /** Present when it runs. */
  readonly running?: FrozenGuest;
}

/** How the guest of a VM is. What is recorded counts as well as what is observed. */
export function findGuest(vm: VirtualMachine, { fleet }: ControllerContext): FoundGuest {
  const { name, uid } = vm.metadata;
  const record = vm.status?.guest;
  const found = (state: SnapshottedGuest["state"]): FoundGuest => ({
    virtualMachineName: name,
    state,
    freezable: false,
  });
  if (record === undefined || record.state === "Stopped") return found("off");
  const observed = fleet.observe(uid, record);
  if (record.state !== "Running" || observed.state !== "present") return found("unclear");
  const { incarnation, host, power, agentConnected, migration } = observed.guest;
  const isMoving = migration !== undefined && !("result" in migration);
  if (power !== "running" || host === undefined || isMoving || incarnation !== record.incarnation) {
    return found("unclear");
  }
  const { agent } = fleet.memberOf(host).hypervisor;
  return {
    ...found("running"),
    freezable: agent !== undefined && agentConnected === true,
    running: { uid, incarnation, host },
  };
}

/** How long an answer of an agent is waited for, in milliseconds. */
const PATIENCE = 30_000;

/**
 * Lets a guest go on that may be frozen. True when it does, or has ended; false when it could not be reached and is to
 * be tried again.
 */
export async function thawGuest(
  { uid, incarnation, host }: FrozenGuest,
  { fleet, clock, logger }: Pick<ControllerContext, "fleet" | "clock" | "logger">,
): Promise<boolean> {
  const record = {
    incarnation,
    host,
    state: "Running",
    since: timestamp(clock),
    failures: 0,
  } as const;
  const observed = fleet.observe(uid, record);
  const runs =
    observed.state === "unknown" ||
    (observed.state === "present" &&
      observed.guest.power !== "stopped" &&
      observed.guest.incarnation === incarnation);
  if (!runs) return true;
  // Where it is now: it may have been moved since.
  const place = observed.state === "present" ? (observed.guest.host ?? host) : host;
  const limit = timeLimit(clock, PATIENCE);
  try {
    await fleet.memberOf(place).hypervisor.agent?.thaw({ uid, incarnation }, place, limit.signal);
    return true;
  } catch (error) {
    const code = isPolyvisorError(error) ? error.code : undefined;
    logger.warn({ guest: uid, host: place, code }, "the guest could not be thawed: will try again");
    return false;
  } finally {
    limit.cancel();
  }
}
