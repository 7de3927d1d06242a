import { readFileSync } from "node:fs";
import type { Condition, Kind, ResourceStore } from "@polyvisor/core";
import { KINDS } from "../../src/api/kinds.ts";

interface Vocabulary {
  /** Reasons by the type of the condition, by kind. */
  readonly conditions: Readonly<Record<string, Readonly<Record<string, readonly string[]>>>>;
  readonly phases: Readonly<Record<string, readonly string[]>>;
}

const file = new URL("../fixtures/vocabulary.json", import.meta.url);
const { conditions, phases } = JSON.parse(readFileSync(file, "utf8")) as Vocabulary;

interface Observed {
  readonly phase?: string;
  readonly conditions?: readonly Condition[];
}

/** Words in the statuses of stored resources that users of DVP would not know: phases, types of conditions, reasons. */
export async function unknownWords(store: ResourceStore): Promise<string[]> {
  const words = new Set<string>();
  for (const kind of Object.keys(KINDS) as Kind[]) {
    const { items } = await store.list(kind);
    for (const { status = {} } of items) {
      const { phase, conditions: observed = [] } = status as Observed;
      if (phase !== undefined && phases[kind]?.includes(phase) !== true) {
        words.add(`${kind}: phase ${phase}`);
      }
      for (const { type, reason } of observed) {
        const known = conditions[kind]?.[type];
        if (known?.includes(reason) !== true) words.add(`${kind}: ${type} ${reason}`);
      }
    }
  }
  return [...words];
}
