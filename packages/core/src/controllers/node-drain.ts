import { GROUP } from "../api/meta.ts";
import type { Node } from "../api/node.ts";

/** Marks a node that is to be emptied, until it takes VMs again. */
export const DRAIN_ANNOTATION: string = `${GROUP}/drain`;

/** True while the guests of a node are to leave it. */
export function isDraining({ metadata, spec }: Node): boolean {
  return spec.unschedulable === true && metadata.annotations?.[DRAIN_ANNOTATION] === "true";
}
