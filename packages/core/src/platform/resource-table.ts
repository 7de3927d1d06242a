import { type Kind, type Kinds, KINDS } from "../api/kinds.ts";
import type { KindDefinition } from "../api/kind.ts";

/** A table as `kubectl get` shows it. */
export interface ResourceTable {
  /** In capitals. */
  readonly columns: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

/** The table of resources of one kind. */
export function resourceTable<K extends Kind>(
  kind: K,
  resources: readonly Kinds[K][],
  options: {
    /** Milliseconds since 1970; ages are counted from there. */
    readonly now: number;
    /** Default false: only the columns of `kubectl get` without `-o wide`. */
    readonly wide?: boolean;
  },
): ResourceTable {
  const { now, wide = false } = options;
  const definition = KINDS[kind] as unknown as KindDefinition<Kinds[K]>;
  const columns = definition.columns.filter((column) => wide || column.wide !== true);
  const age = (text: string | undefined): string =>
    text === undefined ? "" : formatAge(now - Date.parse(text));
  const titles = columns.map(({ name }) => name.toUpperCase());
  const whole = definition.wholeTable === true;
  return {
    columns: whole ? titles : ["NAME", ...titles, "AGE"],
    rows: resources.map((resource) => {
      const cells = columns.map(({ value, type }) =>
        type === "date" ? age(value(resource)) : (value(resource) ?? ""),
      );
      if (whole) return cells;
      const { name, creationTimestamp } = resource.metadata;
      return [definition.nameCell?.(resource) ?? name, ...cells, age(creationTimestamp)];
    }),
  };
}

/** A duration as `kubectl` shows it: `4s`, `2m30s`, `7h40m`, `23h`, `5d`. */
export function formatAge(milliseconds: number): string {
  const seconds = Math.max(0, Math.floor(milliseconds / 1000));
  const [minutes, hours, days] = [60, 3600, 86_400].map((unit) => Math.floor(seconds / unit)) as [
    number,
    number,
    number,
  ];
  const pair = (big: number, bigUnit: string, small: number, smallUnit: string): string =>
    small === 0 ? `${big}${bigUnit}` : `${big}${bigUnit}${small}${smallUnit}`;
  if (seconds < 120) return `${seconds}s`;
  if (minutes < 10) return pair(minutes, "m", seconds % 60, "s");
  if (hours < 3) return `${minutes}m`;
  if (hours < 8) return pair(hours, "h", minutes % 60, "m");
  if (hours < 48) return `${hours}h`;
  if (days < 8) return pair(days, "d", hours % 24, "h");
  return `${days}d`;
}
