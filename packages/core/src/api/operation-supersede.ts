/** What an operation does. Source: the DVP custom resource definitions, `VirtualMachineOperation`. */
export type OperationType =
  "Start" | "Stop" | "Restart" | "Migrate" | "Evict" | "Restore" | "Clone";

/** What is asked of a VM. */
export interface OperationWish {
  readonly type: OperationType;
  readonly force?: boolean;
}

/** True when a new operation takes the place of one that has not ended. Source: DVP, the supersede matrix. */
export function supersedes(next: OperationWish, unfinished: OperationWish): boolean {
  const byForce = next.force === true && (next.type === "Stop" || next.type === "Restart");
  switch (unfinished.type) {
    case "Start":
      return next.type === "Stop";
    case "Stop":
    case "Restart":
      return byForce && unfinished.force !== true;
    case "Migrate":
    case "Evict":
      return next.type === "Stop" || next.type === "Restart";
    case "Restore":
    case "Clone":
      return false;
  }
}

/** Why an operation may not be created while another one has not ended. */
export function operationMustWait(unfinishedName: string): string {
  return `VMOP cannot be executed now. Previously created operation "${unfinishedName}" should finish first`;
}
