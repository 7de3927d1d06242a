import type { ConditionInput } from "../api/conditions.ts";

/** What became of one object of a restore or a clone. */
export interface OperationResource {
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
  readonly status: "InProgress" | "Completed" | "Failed";
  readonly message: string;
}

/** How an operation stands after a step. */
export interface OperationStep {
  readonly phase: "InProgress" | "Completed" | "Failed";
  /** Reason and message of the condition `Completed`. */
  readonly reason: string;
  readonly message: string;
  readonly resources?: readonly OperationResource[];
  /** Conditions besides `Completed`. */
  readonly conditions?: readonly ConditionInput[];
  /** Look again after so many milliseconds, even if nothing happens. */
  readonly requeueAfter?: number;
}

/**
 * Carries out one type of operations. It is called again and again while the operation is unfinished, also after a crash
 * between any two of its writes, and takes it one step or more towards its end.
 */
export interface OperationHandler<Operation> {
  step(operation: Operation, signal: AbortSignal): Promise<OperationStep>;

  /** Undoes what must not stay of an operation that ends before it is done. True when nothing is left to undo. */
  cleanUp(operation: Operation, signal: AbortSignal): Promise<boolean>;
}
