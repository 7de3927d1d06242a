import type * as z from "zod";
import type { Kind, Kinds } from "./kinds.ts";
import type { ObjectMetaInput, Resource } from "./meta.ts";

/** A column of the table that `kubectl get` shows for a kind. */
export interface PrinterColumn<R> {
  readonly name: string;
  /** The cell; `undefined` shows as empty. */
  readonly value: (resource: R) => string | undefined;
  /** A timestamp, shown as the time since then. */
  readonly type?: "date";
  /** Shown only in the wide table. */
  readonly wide?: boolean;
}

/** One broken rule. */
export interface AdmissionIssue {
  /** Dotted path of the field, such as `spec.cpu.cores`. */
  readonly field: string;
  /** What is wrong and what to do. */
  readonly message: string;
}

/** What an admission rule may look at besides the resource itself. */
export interface AdmissionContext<R> {
  /** The resource as it is stored; absent on creation. */
  readonly previous: R | undefined;
  /** Ranges that addresses are given out from, in order. */
  readonly virtualMachineCIDRs: readonly string[];
  /** A resource as it is stored now. */
  readonly get: <K extends Kind>(
    kind: K,
    where: { readonly name: string; readonly namespace?: string },
  ) => Promise<Kinds[K] | undefined>;
  /** All resources of a kind, or those of one namespace. */
  readonly list: <K extends Kind>(kind: K, namespace?: string) => Promise<readonly Kinds[K][]>;
  /** Tells the user of something that is accepted and may not be what was meant. */
  readonly warn: (message: string) => void;
}

/** Everything that the platform knows about a kind. One file of `api/` each. */
export interface KindDefinition<R extends Resource, Input = never> {
  /** The version that is stored. */
  readonly apiVersion: string;
  /** Older or newer versions that are accepted and stored as `apiVersion`. */
  readonly servedVersions?: readonly string[];
  /** A resource as `servedVersions` show it. */
  readonly toServedVersion?: (resource: R) => Resource;
  readonly kind: R["kind"];
  /** Lower-case plural, as in `kubectl get virtualmachines`. */
  readonly plural: string;
  readonly shortNames: readonly string[];
  /** Groups of kinds, as in `kubectl get virtualization`. */
  readonly categories?: readonly string[];
  readonly namespaced: boolean;
  /** Longest name; 253 when absent. */
  readonly maxNameLength?: number;
  /** Everything besides `apiVersion`, `kind` and `metadata`, with defaults filled in. Unknown fields are errors. */
  readonly schema: z.ZodType<Omit<R, "apiVersion" | "kind" | "metadata" | "status">, Input>;
  /** Fills in what depends on other resources, after the schema's defaults and before the rules. */
  readonly setDefaults?: (
    next: R,
    context: AdmissionContext<R>,
  ) => Promise<R | readonly AdmissionIssue[]>;
  /** Rules that need more than the shape; all broken ones are reported at once. */
  readonly admit?: (
    next: R,
    context: AdmissionContext<R>,
  ) => readonly AdmissionIssue[] | Promise<readonly AdmissionIssue[]>;
  /** Rules about labels and annotations; checked when these are new or changed, and nothing else may be. */
  readonly admitMetadata?: (
    next: R,
    context: AdmissionContext<R>,
  ) => readonly AdmissionIssue[] | Promise<readonly AdmissionIssue[]>;
  /** Why a resource cannot be deleted; `undefined` when it can. */
  readonly admitDeletion?: (resource: R) => string | undefined;
  /** Columns after NAME; AGE is added at the end. */
  readonly columns: readonly PrinterColumn<R>[];
  /** The cell under NAME, where it is more than the name. */
  readonly nameCell?: (resource: R) => string;
  /** True when `columns` are the whole table, without NAME and AGE. */
  readonly wholeTable?: boolean;
}

/** `T`, of which the members `K` may be left out: they have defaults. */
export type Defaulted<T, K extends keyof T> = Omit<T, K> & {
  readonly [Member in K]?: T[Member] | undefined;
};

/** What a user sends for kind `R`: metadata without bookkeeping, and fields that have a default may be left out. */
export type Manifest<Kind extends string, Input> = {
  readonly apiVersion?: string;
  readonly kind?: Kind;
  readonly metadata: ObjectMetaInput;
  /** Ignored: status comes from what is observed. */
  readonly status?: unknown;
} & Input;
