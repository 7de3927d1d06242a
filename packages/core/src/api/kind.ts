import type * as z from "zod";
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
  /** True when a lease for this address is held by anybody else than `holder` (`namespace/name`). */
  isAddressTaken(address: string, holder: string): Promise<boolean>;
}

/** Everything that the platform knows about a kind. One file of `api/` each. */
export interface KindDefinition<R extends Resource, Input = never> {
  readonly apiVersion: string;
  /** Older or newer versions that are accepted and stored as `apiVersion`. */
  readonly servedVersions?: readonly string[];
  readonly kind: R["kind"];
  /** Lower-case plural, as in `kubectl get virtualmachines`. */
  readonly plural: string;
  readonly shortNames: readonly string[];
  readonly namespaced: boolean;
  /** Longest name; 253 when absent. */
  readonly maxNameLength?: number;
  /** Everything besides `apiVersion`, `kind` and `metadata`, with defaults filled in. Unknown fields are errors. */
  readonly schema: z.ZodType<Omit<R, "apiVersion" | "kind" | "metadata" | "status">, Input>;
  /** Rules that need more than the shape; all broken ones are reported at once. */
  readonly admit?: (
    next: R,
    context: AdmissionContext<R>,
  ) => readonly AdmissionIssue[] | Promise<readonly AdmissionIssue[]>;
  /** Columns after NAME; AGE is added at the end. */
  readonly columns: readonly PrinterColumn<R>[];
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
