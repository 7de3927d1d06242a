const COLUMNS = [36, 10, 10, 22, 9];

/** One line of a {@link ResultTable}. */
export interface Result {
  readonly name: string;
  readonly ours: string;
  /** What ours is compared with. */
  readonly other: string;
  /** What the limit is about, such as the ratio of the two. */
  readonly measured: string;
  readonly limit: string;
  readonly isMet: boolean;
}

/** Prints results as they come. */
export class ResultTable {
  readonly #missed: string[] = [];

  constructor() {
    printRow("", "ours", "tool", "", "at most");
  }

  add({ name, ours, other, measured, limit, isMet }: Result): void {
    if (!isMet) this.#missed.push(name);
    printRow(name, ours, other, measured, limit, isMet ? "met" : "MISSED");
  }

  /** Adds what is not compared with anything. */
  addAlone(name: string, value: number, limit: number, unit: string): void {
    this.add({
      name,
      ours: `${value.toFixed(0)} ${unit}`,
      other: "",
      measured: "",
      limit: `${limit} ${unit}`,
      isMet: value <= limit,
    });
  }

  /** Prints what was missed. */
  end(): void {
    console.log(this.#missed.length === 0 ? "all met" : `missed: ${this.#missed.join(", ")}`);
  }
}

function printRow(...cells: readonly string[]): void {
  console.log(cells.map((cell, index) => cell.padEnd(COLUMNS[index] ?? 0)).join(" "));
}
