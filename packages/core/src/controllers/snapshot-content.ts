import type { VirtualMachineSnapshot } from "../api/virtual-machine-snapshot.ts";
import {
  decodeContent,
  type MachineSnapshotContent,
} from "../snapshots/machine-snapshot-content.ts";
import type { ControllerContext } from "./controller-context.ts";
import { secretName } from "./machine-snapshot-controller.ts";

/** A snapshot of a machine that can be used, or why it cannot. */
export type UsableSnapshot =
  | { readonly snapshot: VirtualMachineSnapshot; readonly content: MachineSnapshotContent }
  | {
      readonly problem: string;
      readonly reason: "VirtualMachineSnapshotNotFound" | "NotReadyToBeExecuted";
    };

/** Finds a snapshot of a machine, and what it keeps. */
export async function findMachineSnapshot(
  where: { readonly name: string; readonly namespace: string },
  { store }: ControllerContext,
): Promise<UsableSnapshot> {
  const what = `VirtualMachineSnapshot ${JSON.stringify(where.name)}`;
  const snapshot = await store.get("VirtualMachineSnapshot", where);
  if (snapshot === undefined) {
    const problem = `${what} does not exist: create it or correct the name.`;
    return { problem, reason: "VirtualMachineSnapshotNotFound" };
  }
  const reason = "NotReadyToBeExecuted";
  const phase = snapshot.status?.phase ?? "Pending";
  if (phase !== "Ready") return { problem: `${what} is ${phase} and not Ready.`, reason };
  const { namespace } = where;
  const secret = await store.get("Secret", { name: secretName(snapshot), namespace });
  const content = secret && decodeContent(secret.data);
  if (content) return { snapshot, content };
  const problem = `Secret ${JSON.stringify(secretName(snapshot))} of ${what} is gone or was changed: take another snapshot.`;
  return { problem, reason };
}
