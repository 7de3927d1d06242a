import type { ConformanceResult } from "./conformance-case.ts";

/**
 * A report for people: one line for each case, then how many went how.
 *
 * @param title Such as `Hypervisor: mine`.
 */
export function formatReport(title: string, results: readonly ConformanceResult[]): string {
  const width = Math.max(...results.map(({ id }) => id.length));
  const lines = results.map(({ id, outcome, title: what, detail }) => {
    const reason = detail === undefined ? "" : ` (${detail.split("\n")[0]})`;
    return `  ${outcome.padEnd(15)} ${id.padEnd(width)}  ${what}${reason}`;
  });
  const outcomes = ["passed", "waived", "needless waiver", "not applicable", "failed"] as const;
  const counts = outcomes
    .map((outcome) => [outcome, results.filter((result) => result.outcome === outcome).length])
    .filter(([, count]) => count !== 0)
    .map(([outcome, count]) => `${count} ${outcome}`);
  return [title, ...lines, `  ${counts.join(", ")}`].join("\n");
}
