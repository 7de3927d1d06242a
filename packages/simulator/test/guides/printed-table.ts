/** A table as a terminal shows it. */
export interface PrintedTable {
  readonly columns: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

/** Reads a table that a guide prints: cells start where their column's title starts, give or take two letters. */
export function readTable(text: string): PrintedTable {
  const [head = "", ...lines] = text
    .split("\n")
    .map((line) => line.replace(/^# ?/, "").trimEnd())
    .filter((line) => line !== "");
  const titles = [...head.matchAll(/\S+(?: \S+)*/g)].map((match) => ({
    title: match[0],
    start: match.index,
  }));
  const rows = lines.map((line) => {
    const cells = titles.map(() => "");
    for (const match of line.matchAll(/\S+(?: \S+)*/g)) {
      const at = match.index;
      const nearest = titles.reduce(
        (best, { start }, index) =>
          Math.abs(start - at) < Math.abs((titles[best]?.start ?? 0) - at) ? index : best,
        0,
      );
      cells[nearest] = match[0];
    }
    return cells;
  });
  return { columns: titles.map(({ title }) => title), rows };
}
