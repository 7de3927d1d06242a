import { readFileSync } from "node:fs";
import { type Kind, type Kinds, resourceTable } from "@polyvisor/core";
import { describe, expect, it } from "vitest";
import * as z from "zod";
import { KINDS } from "../../src/api/kinds.ts";

/** What a field of a custom resource definition allows. */
interface Field {
  readonly enum?: readonly unknown[];
  readonly default?: unknown;
  readonly required?: boolean;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly minItems?: number;
  readonly maxItems?: number;
}

interface Definition {
  readonly plural: string;
  readonly shortNames: readonly string[];
  readonly categories: readonly string[];
  readonly scope: "Namespaced" | "Cluster";
  readonly columns: readonly {
    readonly name: string;
    readonly path: string;
    readonly wide?: boolean;
  }[];
  readonly fields: Readonly<Record<string, Field>>;
}

const file = new URL("../fixtures/dvp-crds/fields.json", import.meta.url);
const { kinds } = JSON.parse(readFileSync(file, "utf8")) as {
  kinds: Readonly<Record<string, Definition>>;
};
const DEFINITIONS = Object.entries(kinds).map(([key, definition]) => {
  const [kind = "", version = ""] = key.split("/");
  return { kind: kind as Kind, version, definition };
});

const LIMITS = [
  "enum",
  "default",
  "required",
  "minimum",
  "maximum",
  "minLength",
  "maxLength",
  "minItems",
  "maxItems",
] as const;

interface JsonSchema extends Omit<Field, "required"> {
  readonly const?: unknown;
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly required?: readonly string[];
  readonly items?: JsonSchema;
  readonly additionalProperties?: JsonSchema | false;
}

/** The fields of a schema of ours by their paths. */
function flatten(
  schema: JsonSchema,
  path: string,
  required: boolean,
  into: Map<string, Field>,
): void {
  const { properties = {}, required: names = [], items, additionalProperties, ...limits } = schema;
  const values = limits.enum ?? (limits.const === undefined ? undefined : [limits.const]);
  into.set(path, { ...limits, ...(values && { enum: values }), ...(required && { required }) });
  for (const [name, member] of Object.entries(properties)) {
    flatten(member, `${path}.${name}`, names.includes(name), into);
  }
  if (items) flatten(items, `${path}[]`, false, into);
  const others = additionalProperties || {};
  if (Object.keys(others).length > 0) flatten(others, `${path}{}`, false, into);
}

function ours(kind: Kind): Map<string, Field> {
  const schema = z.toJSONSchema(KINDS[kind].schema as z.ZodType, {
    io: "input",
    unrepresentable: "any",
  }) as JsonSchema;
  const fields = new Map<string, Field>();
  flatten(
    schema.properties?.["spec"] ?? {},
    "spec",
    schema.required?.includes("spec") === true,
    fields,
  );
  return fields;
}

/** Where a schema is meant to differ, and why. */
const DIFFERENT: readonly (readonly [RegExp, string])[] = [
  [/\.checksum\.\w+ (min|max)Length$/, "the pattern has the length in it"],
  [/\.dataSource\.\S*\.namespace$/, "is refused with a reason, except for ClusterVirtualImage"],
  [/^VirtualImage spec\.storage (enum|required)$/, "Kubernetes is rewritten; there is a default"],
  [/spec\.virtualMachineClassName (minLength|required)$/, "there is a default class"],
  [/^VirtualMachine spec\.disruptions default$/, "the default is filled in further down"],
  [/^VirtualMachineClass spec\.sizingPolicies\[\]\.coreFractions\[\] /, "numbers are rewritten"],
  [/^VirtualMachineClass spec\.sizingPolicies\[\]\.defaultCoreFraction /, "numbers are rewritten"],
  [/^VirtualMachineIPAddressLease \S+\.name required$/, "a lease may be kept without a holder"],
  [/^VirtualDisk spec required$/, "a disk that is written wrongly says what is missing"],
  [/^VirtualMachineSnapshot spec\.(keepIPAddress|requiredConsistency) required$/, "has a default"],
  [/\.(userDataRef|sysprepRef)\.kind (required|enum)$/, "has a default"],
  [/\.blockDeviceRefs\[\]\.bootOrder minimum$/, "is a rule with a message"],
  [/^VirtualMachinePool \S+\.liveMigrationPolicy (required|enum)$/, "as in a VM"],
  [
    /^VirtualMachinePool \S+\.topologySpreadConstraints\[\]\.(matchLabelKeys|minDomains|node\w+Policy)/,
    "as in a VM, which has no such field",
  ],
];

function isMeant(difference: string): boolean {
  return DIFFERENT.some(([pattern]) => pattern.test(difference));
}

describe.each(DEFINITIONS)("the schema of $kind ($version)", ({ kind, definition }) => {
  const fields = ours(kind);
  const places = new Set([...Object.keys(definition.fields), ...fields.keys()]);

  it("has the fields of the custom resource definition and no others", () => {
    const missing = [...places].filter(
      (path) => !fields.has(path) || definition.fields[path] === undefined,
    );
    expect(missing.map((path) => `${kind} ${path}`).filter((place) => !isMeant(place))).toEqual([]);
  });

  it("has their limits and defaults", () => {
    const differences = [...places].flatMap((path) => {
      const theirs = definition.fields[path] ?? {};
      const mine = fields.get(path);
      if (mine === undefined) return [];
      return LIMITS.flatMap((limit) => {
        const wanted = theirs[limit];
        if (wanted === undefined) return [];
        const found = mine[limit];
        const same = JSON.stringify(sorted(wanted)) === JSON.stringify(sorted(found));
        return same ? [] : [`${kind} ${path} ${limit}`];
      });
    });
    expect(differences.filter((place) => !isMeant(place))).toEqual([]);
  });

  it("has the names of the custom resource definition", () => {
    const { plural, shortNames, categories = [], namespaced } = KINDS[kind];
    expect({ plural, shortNames, categories, namespaced }).toEqual({
      plural: definition.plural,
      shortNames: definition.shortNames,
      categories: definition.categories,
      namespaced: definition.scope === "Namespaced",
    });
  });
});

function sorted(value: unknown): unknown {
  return Array.isArray(value) ? value.map(String).toSorted((a, b) => (a < b ? -1 : 1)) : value;
}

/** A resource that has `value` where a path of a printer column points. */
function resourceWith(path: string, value: string): object {
  const parts = path
    .replaceAll("\\.", "\u0000")
    .replaceAll("\\/", "/")
    .split(/\.(?![^[]*\])/)
    .slice(1);
  return parts.reduceRight<unknown>((inner, part) => {
    const [, name = "", filter] = /^(\w[^[]*)(?:\[\?\(@\.(.*)\)\])?$/.exec(part) ?? [];
    const member = name.replaceAll("\u0000", ".");
    if (filter === undefined) return { [member]: inner };
    const [key = "", wanted = ""] = filter.split("==");
    const condition = wanted === "true" ? true : wanted.replaceAll(/['"]/g, "");
    return { [member]: [{ [key]: condition, ...(inner as object) }] };
  }, value) as object;
}

/** What columns look into besides the field that they show. */
const BARE = {
  metadata: { name: "x" },
  spec: { blockDeviceRef: {} },
  status: { replicas: 0, readyReplicas: 0, resources: { cpu: { cores: 0 }, memory: {} } },
};

describe.each(DEFINITIONS)("the table of $kind ($version)", ({ kind, definition }) => {
  it.each([false, true])("has the columns of kubectl (wide: %s)", (wide) => {
    const { columns } = resourceTable(kind, [], { now: 0, wide });
    const wanted = definition.columns.filter((column) => wide || column.wide !== true);
    expect(columns).toEqual(["NAME", ...wanted.map(({ name }) => name.toUpperCase())]);
  });

  it.each(definition.columns)("shows $path under $name", ({ name, path }) => {
    const value = /date|time/i.test(path) ? "2026-01-01T00:00:00Z" : "shown";
    const resource = merge(BARE, resourceWith(path, value));
    const now = Date.parse("2026-01-01T00:00:07Z");
    const table = resourceTable(kind, [resource as Kinds[Kind]], { now, wide: true });
    const cell = table.rows[0]?.[table.columns.indexOf(name.toUpperCase())];
    expect(cell).toContain(value === "shown" ? "shown" : "7s");
  });
});

function merge(left: object, right: object): object {
  return Object.fromEntries(
    [...new Set([...Object.keys(left), ...Object.keys(right)])].map((key) => {
      const [a, b] = [Reflect.get(left, key), Reflect.get(right, key)] as unknown[];
      const both = typeof a === "object" && typeof b === "object" && a !== null && b !== null;
      return [key, both ? merge(a, b) : (b ?? a)];
    }),
  );
}
