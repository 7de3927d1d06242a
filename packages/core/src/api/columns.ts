import { type Condition, findCondition } from "./conditions.ts";
import type { PrinterColumn } from "./kind.ts";

interface Observed {
  readonly status?: { readonly phase?: string; readonly conditions?: readonly Condition[] };
}

/** The phase. */
export function phaseColumn(name = "Phase"): PrinterColumn<Observed> {
  return { name, value: ({ status }) => status?.phase };
}

/** Whether a condition holds. */
export function conditionColumn(
  name: string,
  type: string,
  options: { readonly wide?: boolean } = {},
): PrinterColumn<Observed> {
  return {
    name,
    value: ({ status }) => findCondition(status?.conditions, type)?.status,
    ...options,
  };
}
