/** How far a migration has come. */
export type MigrationStage =
  | { readonly stage: "pending" }
  | { readonly stage: "scheduling" }
  | { readonly stage: "unschedulable" }
  | { readonly stage: "preparing" }
  | { readonly stage: "disk-error" }
  | {
      readonly stage: "syncing";
      readonly totalBytes: number;
      readonly remainingBytes: number;
      /** True once what has changed meanwhile is copied again. */
      readonly again: boolean;
    }
  | { readonly stage: "source-suspended" }
  | { readonly stage: "target-resumed" }
  | { readonly stage: "completed" };

/** Per cent, from 0 to 100. Source: DVP, "Progress and reasons". */
export function migrationProgress(stage: MigrationStage): number {
  switch (stage.stage) {
    case "pending":
      return 0;
    case "scheduling":
    case "unschedulable":
      return 2;
    case "preparing":
    case "disk-error":
      return 3;
    case "syncing":
      return syncProgress(stage);
    case "source-suspended":
      return 91;
    case "target-resumed":
      return 92;
    case "completed":
      return 100;
  }
}

/** The reason of the condition `Completed`. */
export function migrationReason(stage: MigrationStage): string {
  switch (stage.stage) {
    case "pending":
      return "MigrationPending";
    case "scheduling":
      return "TargetScheduling";
    case "unschedulable":
      return "TargetUnschedulable";
    case "preparing":
      return "TargetPreparing";
    case "disk-error":
      return "TargetDiskError";
    case "syncing":
      return "Syncing";
    case "source-suspended":
      return "SourceSuspended";
    case "target-resumed":
      return "TargetResumed";
    case "completed":
      return "Completed";
  }
}

/** 10 to 45 for the first copy, 45 to 90 for what has changed meanwhile. */
function syncProgress({
  totalBytes,
  remainingBytes,
  again,
}: Extract<MigrationStage, { stage: "syncing" }>): number {
  const share = totalBytes <= 0 ? 1 : 1 - Math.min(Math.max(remainingBytes / totalBytes, 0), 1);
  return again ? 45 + Math.floor(45 * share) : 10 + Math.floor(35 * share);
}

/** Whether a migration gets anywhere. */
export interface ConvergenceInputs {
  readonly again: boolean;
  readonly autoConverge: boolean;
  /** Per cent by which the guest is slowed down. */
  readonly throttlePercent: number;
  /** Milliseconds since the remaining data was last less than ever before. */
  readonly stalledFor: number;
}

/** True for a migration that will not end as it goes: nothing more can be done, and what remains does not shrink. */
export function isNotConverging(inputs: ConvergenceInputs): boolean {
  const { again, autoConverge, throttlePercent, stalledFor } = inputs;
  const throttleSpent = !autoConverge || throttlePercent >= 99;
  return again && throttleSpent && stalledFor >= 10_000;
}

/** The reason of the condition `Completed` of a migration that has failed, by what was said about it. */
export function classifyMigrationFailure(text: string): string {
  if (/abort/i.test(text)) return "Aborted";
  if (/converg|progress/i.test(text)) return "NotConverging";
  if (/schedul/i.test(text)) return "TargetUnschedulable";
  if (/csi|attach|volume|disk/i.test(text)) return "TargetDiskError";
  return "Failed";
}
