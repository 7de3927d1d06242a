import { isPlainObject } from "../util/json.ts";
import type { Kind } from "./kinds.ts";
import { V1ALPHA2 } from "./meta.ts";

type Content = Readonly<Record<string, unknown>>;

/** Rewrites the value at a place; `undefined` removes it. Called only where there is a value. */
type Rewrite = (value: unknown) => unknown;

/** How manifests of guides and of older versions write something, and what becomes of it. */
interface Alias {
  /** Dotted; `*` stands for every item of a list. */
  readonly path: string;
  /** Another name for the last part of the path. */
  readonly rename?: string;
  /** Put in place of the value, or a sign to drop the field. */
  readonly rewrite?: Rewrite;
  /** Told to the user. */
  readonly warning?: string;
}

const AFFINITY_TERMS: readonly Alias[] = [
  "virtualMachineAndPodAffinity",
  "virtualMachineAndPodAntiAffinity",
].map((affinity) => ({
  path: `spec.affinity.${affinity}.preferredDuringSchedulingIgnoredDuringExecution.*.podAffinityTerm`,
  rename: "virtualMachineAndPodAffinityTerm",
}));

const VIRTUAL_MACHINE: readonly Alias[] = [
  { path: "spec.virtualMachineIPAdressName", rename: "virtualMachineIPAddressName" },
  ...AFFINITY_TERMS,
];

/** `5` is `"5%"`. */
const asPercentage: Rewrite = (value) => (typeof value === "number" ? `${value}%` : value);

/** A word with its first letter in upper case: `restart` is `Restart`. */
const capitalised: Rewrite = (value) =>
  typeof value === "string" && /^[a-z]+$/.test(value)
    ? `${value.charAt(0).toUpperCase()}${value.slice(1)}`
    : value;

const selectorOfNames: Rewrite = (names) => ({ matchNames: names });

/** All of them. Controllers and schemas know the normal form only. */
const ALIASES: { readonly [K in Kind]?: readonly Alias[] } = {
  ModuleConfig: ["virtualDisks", "virtualImages"].map((disks) => ({
    path: `spec.settings.${disks}.allowedStorageClassNames`,
    rename: "allowedStorageClassSelector",
    rewrite: selectorOfNames,
  })),
  VirtualDiskSnapshot: [
    {
      path: "spec.volumeSnapshotClassName",
      rewrite: () => undefined,
      warning:
        "spec.volumeSnapshotClassName has no effect: the storage class of the disk decides how it is snapshotted",
    },
  ],
  VirtualImage: [
    {
      path: "spec.storage",
      rewrite: (value) => (value === "Kubernetes" ? "PersistentVolumeClaim" : value),
    },
  ],
  VirtualMachine: VIRTUAL_MACHINE,
  VirtualMachineClass: [
    { path: "spec.sizingPolicy", rename: "sizingPolicies" },
    { path: "spec.sizingPolicies.*.coreFractions.*", rewrite: asPercentage },
    { path: "spec.sizingPolicies.*.defaultCoreFraction", rewrite: asPercentage },
  ],
  VirtualMachineOperation: [{ path: "spec.type", rewrite: capitalised }],
  VirtualMachinePool: VIRTUAL_MACHINE.map((alias) => ({
    ...alias,
    path: alias.path.replace("spec.", "spec.virtualMachineTemplate.spec."),
  })),
  VirtualMachineSnapshotOperation: [{ path: "spec.type", rewrite: capitalised }],
};

const DEPRECATED: { readonly [K in Kind]?: Readonly<Record<string, string>> } = {
  VirtualMachineClass: {
    [V1ALPHA2]: "v1alpha2.VirtualMachineClass is deprecated; use v1alpha3.VirtualMachineClass",
  },
};

/** A manifest with the names and values that the schema knows, and what the user should know of it. */
export function rewriteAliases(
  { kind }: { readonly kind: string },
  apiVersion: string,
  content: Content,
): { readonly content: Content; readonly warnings: readonly string[] } {
  const warnings: string[] = [];
  const deprecation = DEPRECATED[kind as Kind]?.[apiVersion];
  if (deprecation !== undefined) warnings.push(deprecation);
  let result: unknown = content;
  for (const alias of ALIASES[kind as Kind] ?? []) {
    result = rewriteAt(result, alias.path.split("."), alias, warnings);
  }
  return { content: result as Content, warnings };
}

function rewriteAt(
  value: unknown,
  [part = "", ...rest]: readonly string[],
  alias: Alias,
  warnings: string[],
): unknown {
  if (part === "*") {
    if (!Array.isArray(value)) return value;
    return value.map((item: unknown) =>
      rest.length === 0 ? rewritten(item, alias, warnings) : rewriteAt(item, rest, alias, warnings),
    );
  }
  if (!isPlainObject(value) || !Object.hasOwn(value, part)) return value;
  if (rest.length > 0) return { ...value, [part]: rewriteAt(value[part], rest, alias, warnings) };
  const { rename = part } = alias;
  // Both names at once: the schema refuses the one that it does not know.
  if (rename !== part && Object.hasOwn(value, rename)) return value;
  const { [part]: old, ...others } = value;
  const next = rewritten(old, alias, warnings);
  if (rename !== part) warnings.push(`${alias.path}: is written ${rename}`);
  return next === undefined ? others : { ...others, [rename]: next };
}

function rewritten(value: unknown, { rewrite, warning }: Alias, warnings: string[]): unknown {
  if (warning !== undefined) warnings.push(warning);
  return rewrite === undefined ? value : rewrite(value);
}
