import type { Condition } from "../api/conditions.ts";
import type {
  GuestRecord,
  VirtualMachinePhase,
  VirtualMachineStatus,
} from "../api/virtual-machine-status.ts";

type Statistics = NonNullable<VirtualMachineStatus["stats"]>;

/** At most so many changes of the phase are kept. */
const MOST_TRANSITIONS = 20;

/** What statistics depend on. */
export interface StatisticsInputs {
  readonly previous: Statistics | undefined;
  readonly phase: VirtualMachinePhase;
  readonly record: GuestRecord | undefined;
  /** The condition `AgentReady`. */
  readonly agentReady: Pick<Condition, "status"> | undefined;
  /** RFC 3339. */
  readonly now: string;
}

/** `status.stats` of a VM: when its phase changed, and how long the last launch took. */
export function machineStatistics(inputs: StatisticsInputs): Statistics {
  const { previous, phase, record, now } = inputs;
  const known = previous?.phasesTransitions ?? [];
  const isNew = known.at(-1)?.phase !== phase;
  const transitions = isNew
    ? [...known, { phase, timestamp: now }].slice(-MOST_TRANSITIONS)
    : known;
  const launch = launchDurations(inputs, transitions);
  return {
    phasesTransitions: transitions,
    ...(Object.keys(launch).length > 0 && { launchTimeDuration: launch }),
    ...(record?.state === "Running" && { lastStartTime: record.since }),
  };
}

function launchDurations(
  { previous, record, agentReady, now }: StatisticsInputs,
  transitions: NonNullable<Statistics["phasesTransitions"]>,
): NonNullable<Statistics["launchTimeDuration"]> {
  const starting = transitions.findLastIndex(({ phase }) => phase === "Starting");
  const pending = transitions.findLastIndex(
    ({ phase }, index) => phase === "Pending" && (starting < 0 || index < starting),
  );
  const at = (index: number): string | undefined => transitions[index]?.timestamp;
  const running = transitions.findIndex(
    ({ phase }, index) => phase === "Running" && index > starting,
  );
  const waited =
    pending >= 0 && starting === pending + 1 ? between(at(pending), at(starting)) : undefined;
  const started =
    starting >= 0 && running === starting + 1 ? between(at(starting), at(running)) : undefined;
  const before =
    previous?.lastStartTime === record?.since ? previous?.launchTimeDuration : undefined;
  const agent =
    before?.guestOSAgentStarting ??
    (record?.state === "Running" && agentReady?.status === "True"
      ? between(record.since, now)
      : undefined);
  return {
    ...(waited !== undefined && { waitingForDependencies: waited }),
    ...(started !== undefined && { virtualMachineStarting: started }),
    ...(agent !== undefined && { guestOSAgentStarting: agent }),
  };
}

/** Such as `5s` or `1.5s`. */
function between(from: string | undefined, to: string | undefined): string | undefined {
  if (from === undefined || to === undefined) return undefined;
  return `${(Date.parse(to) - Date.parse(from)) / 1000}s`;
}
