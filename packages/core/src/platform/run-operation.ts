import type {
  VirtualMachineOperation,
  VirtualMachineOperationSpec,
} from "../api/virtual-machine-operation.ts";
import { findCondition } from "../api/conditions.ts";
import { PolyvisorError } from "../util/errors.ts";
import type { ResourceClient } from "./resource-client.ts";

/** How long to wait for an operation. */
export interface OperationLimits {
  /** Ends the waiting; the operation goes on. Delete it to cancel it. */
  readonly signal?: AbortSignal;
  /** Milliseconds; default: without end. */
  readonly timeout?: number;
}

const ENDED: readonly unknown[] = ["Completed", "Failed", "Superseded"];

/**
 * Creates an operation and waits until it has ended.
 *
 * @throws `POLYVISOR_INVALID` when it is not allowed now, `POLYVISOR_FAILED` when it has failed, was superseded or was
 *   deleted, `POLYVISOR_TIMEOUT`, and the reason of `signal`.
 */
export async function runOperation(
  operations: ResourceClient<"VirtualMachineOperation">,
  namespace: string,
  spec: VirtualMachineOperationSpec,
  { signal, timeout }: OperationLimits,
): Promise<VirtualMachineOperation> {
  const { type, virtualMachineName } = spec;
  const generateName = `${type.toLowerCase()}-${virtualMachineName}-`;
  const { metadata } = await operations.create({ metadata: { generateName, namespace }, spec });
  const waiting = new AbortController();
  const limits = {
    namespace,
    signal: signal ? AbortSignal.any([signal, waiting.signal]) : waiting.signal,
    ...(timeout !== undefined && { timeout }),
  };
  const until = ({ status }: VirtualMachineOperation): boolean => ENDED.includes(status?.phase);
  try {
    const ended = await Promise.race([
      operations.waitFor(metadata.name, { until }, limits),
      operations.waitFor(metadata.name, { deleted: true }, limits).then(() => undefined),
    ]);
    if (ended?.status?.phase === "Completed") return ended;
    const outcome = ended === undefined ? "was deleted" : describeOutcome(ended);
    throw new PolyvisorError(
      "POLYVISOR_FAILED",
      `VirtualMachineOperation "${namespace}/${metadata.name}" of type ${type} ${outcome}`,
    );
  } finally {
    waiting.abort();
  }
}

function describeOutcome({ status }: VirtualMachineOperation): string {
  const verb = status?.phase === "Superseded" ? "was superseded" : "has failed";
  const message = findCondition(status?.conditions, "Completed")?.message ?? "";
  return message === "" ? verb : `${verb}: ${message}`;
}
