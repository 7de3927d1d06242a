import type { Taint } from "../api/placement-terms.ts";
import { matchesLabels } from "../api/selectors.ts";
import { describeTaint, matchesNodeTerm, untoleratedTaint } from "./node-rules.ts";
import type { PlacementTerms } from "./placement-terms.ts";

/** A node with a guest on it. */
export interface OccupiedNode {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly taints: readonly Taint[];
  /** True when it is to be emptied. */
  readonly draining: boolean;
}

/** Why a guest is to leave its node. */
export interface EvictionReason {
  /** How operations are called that carry it out. Source: DVP, system operations. */
  readonly prefix: "evacuation-" | "nodeplacement-update-";
  readonly message: string;
}

/** Whether a guest has to leave its node: because of the node, or because its own terms have changed. */
export function evictionReason(
  node: OccupiedNode,
  terms: PlacementTerms,
): EvictionReason | undefined {
  const name = JSON.stringify(node.name);
  if (node.draining)
    return { prefix: "evacuation-", message: `Node ${name} is to be emptied for maintenance.` };
  const taint = untoleratedTaint(node.taints, terms.tolerations, ["NoExecute"]);
  if (taint) {
    const message = `Node ${name} has the taint ${describeTaint(taint)}, which the VM does not tolerate.`;
    return { prefix: "evacuation-", message };
  }
  const broken = brokenTerm(node, terms);
  if (broken === undefined) return undefined;
  return { prefix: "nodeplacement-update-", message: `Node ${name} does not match ${broken}.` };
}

function brokenTerm(node: OccupiedNode, terms: PlacementTerms): string | undefined {
  for (const { of, selector } of terms.nodeSelectors) {
    if (!matchesLabels(selector, node.labels)) return `the node selector of ${of}`;
  }
  const required = terms.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution;
  const fits = required?.nodeSelectorTerms.some((term) => matchesNodeTerm(term, node)) ?? true;
  return fits ? undefined : "the node affinity of the VM";
}
