/** The guest that uses what a snapshot is taken of. */
export interface SnapshottedGuest {
  readonly virtualMachineName: string;
  /**
   * `off`: it does not run. `running`: it runs, and its host answers. `unclear`: it is starting, stopping or moving, or
   * its host does not answer.
   */
  readonly state: "off" | "running" | "unclear";
  /** True when its agent answers, and the hypervisor can ask it to freeze file systems. */
  readonly freezable: boolean;
}

/** What is known when a snapshot is about to be taken. */
export interface ConsistencyInputs {
  /** `VirtualDiskSnapshot`s freeze whenever that can be done, `VirtualMachineSnapshot`s only when it is required. */
  readonly kind: "VirtualDiskSnapshot" | "VirtualMachineSnapshot";
  readonly requiredConsistency: boolean;
  /** `undefined` when no VM uses the disk. */
  readonly guest: SnapshottedGuest | undefined;
  /** Why an attempt to freeze has failed. */
  readonly freezeProblem?: string;
}

/**
 * How a snapshot is taken: of something that stands still, of a guest that is frozen meanwhile, or of a guest that runs
 * on, which may be inconsistent; or not, or not now.
 */
export type ConsistencyDecision =
  | { readonly action: "take"; readonly freeze: boolean; readonly consistent: boolean }
  | { readonly action: "wait" | "fail"; readonly message: string };

/** Decides how a snapshot is taken. */
export function decideConsistency(inputs: ConsistencyInputs): ConsistencyDecision {
  const { kind, requiredConsistency, guest, freezeProblem } = inputs;
  if (guest === undefined || guest.state === "off") {
    return { action: "take", freeze: false, consistent: true };
  }
  const vm = `VirtualMachine ${JSON.stringify(guest.virtualMachineName)}`;
  if (guest.state === "unclear") {
    return {
      action: "wait",
      message: `${vm} is starting, stopping or moving, or its host does not answer: waiting for it to be running or stopped.`,
    };
  }
  const wanted = requiredConsistency || kind === "VirtualDiskSnapshot";
  if (wanted && guest.freezable && freezeProblem === undefined) {
    return { action: "take", freeze: true, consistent: true };
  }
  if (!requiredConsistency) return { action: "take", freeze: false, consistent: false };
  const why = freezeProblem ?? "the virtual machine agent is not ready";
  return {
    action: "fail",
    message: `The snapshot would be potentially inconsistent: ${why} and the virtual machine cannot be frozen. Stop ${vm}, install the agent in it, or set spec.requiredConsistency to false.`,
  };
}
