import * as z from "zod";

/** One term of a label selector. Source: Kubernetes `metav1.LabelSelectorRequirement`. */
export interface LabelSelectorRequirement {
  readonly key: string;
  readonly operator: "In" | "NotIn" | "Exists" | "DoesNotExist";
  readonly values?: readonly string[];
}

/** Chooses by labels; all terms must hold, and an empty selector chooses everything. */
export interface LabelSelector {
  readonly matchLabels?: Readonly<Record<string, string>>;
  readonly matchExpressions?: readonly LabelSelectorRequirement[];
}

/** {@link LabelSelector} as users write it. */
export const labelSelectorSchema: z.ZodType<LabelSelector, LabelSelector> = z.strictObject({
  matchLabels: z.record(z.string(), z.string()).exactOptional(),
  matchExpressions: z
    .array(
      z.strictObject({
        key: z.string().min(1),
        operator: z.enum(["In", "NotIn", "Exists", "DoesNotExist"]),
        values: z.array(z.string()).exactOptional(),
      }),
    )
    .exactOptional(),
});

/** True when `labels` satisfy every term of `selector`. */
export function matchesLabels(
  selector: LabelSelector,
  labels: Readonly<Record<string, string>> = {},
): boolean {
  const wanted = Object.entries(selector.matchLabels ?? {});
  return (
    wanted.every(([key, value]) => labels[key] === value) &&
    (selector.matchExpressions ?? []).every((requirement) => meets(requirement, labels))
  );
}

function meets(
  { key, operator, values = [] }: LabelSelectorRequirement,
  labels: Readonly<Record<string, string>>,
): boolean {
  const value = labels[key];
  switch (operator) {
    case "In":
      return value !== undefined && values.includes(value);
    case "NotIn":
      return value === undefined || !values.includes(value);
    case "Exists":
      return value !== undefined;
    case "DoesNotExist":
      return value === undefined;
  }
}

/** Chooses by fields: dotted paths and the value that the field must have, such as `{ "status.phase": "Running" }`. */
export type FieldSelector = Readonly<Record<string, string>>;

/** True when every named field of `resource` has the wanted value; an absent field equals the empty text. */
export function matchesFields(selector: FieldSelector, resource: object): boolean {
  return Object.entries(selector).every(([path, wanted]) => {
    let value: unknown = resource;
    for (const part of path.split(".")) {
      value = typeof value === "object" && value !== null ? Reflect.get(value, part) : undefined;
    }
    const text = ["string", "number", "boolean"].includes(typeof value) ? String(value) : "";
    return text === wanted;
  });
}
