import type { ResourceResult } from "../api/clone-naming.ts";
import type { ConditionInput } from "../api/conditions.ts";

/** How an operation stands after a step. */
export interface OperationOutcome {
  readonly phase: "InProgress" | "Completed" | "Failed";
  /** Reason and message of the condition `Completed`. */
  readonly reason: string;
  readonly message: string;
  readonly resources?: readonly ResourceResult[];
  /** Conditions besides `Completed`. */
  readonly conditions?: readonly ConditionInput[];
}

/** An operation that has failed. */
export function failed(
  reason: string,
  message: string,
  more: Pick<OperationOutcome, "resources" | "conditions"> = {},
): OperationOutcome {
  return { phase: "Failed", reason, message, ...more };
}

/** An operation that has ended, with what became of each object. */
export function summary(
  isWhole: boolean,
  resources: readonly ResourceResult[],
  conditions: readonly ConditionInput[],
): OperationOutcome {
  const problems = resources.flatMap(({ status, message }) =>
    status === "Failed" ? [message] : [],
  );
  return isWhole
    ? { phase: "Completed", reason: "OperationCompleted", message: "", resources, conditions }
    : failed("OperationFailed", problems.join("; "), { resources, conditions });
}
