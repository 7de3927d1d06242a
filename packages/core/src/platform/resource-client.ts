import type { AdmissionContext, AdmissionIssue, KindDefinition, Manifest } from "../api/kind.ts";
import { type Kind, type KindInputs, type Kinds, KINDS } from "../api/kinds.ts";
import { DEFAULT_NAMESPACE, keyOf, type ObjectMeta, type Resource } from "../api/meta.ts";
import { MODULE_CONFIG_NAME } from "../api/module-config.ts";
import { unfulfilled } from "../api/not-yet.ts";
import type {
  ListOptions,
  NewResource,
  ResourceList,
  ResourceName,
  ResourceStore,
  WatchEvent,
  WatchOptions,
} from "../store/resource-store.ts";
import type { Clock } from "../util/clock.ts";
import { isPolyvisorError, PolyvisorError } from "../util/errors.ts";
import { isPlainObject, jsonEquals, mergePatch } from "../util/json.ts";
import type { Logger } from "../util/logger.ts";
import { randomNameSuffix, type RandomSource } from "../util/random-source.ts";
import { ensureNamespace } from "./ensure-namespace.ts";
import { refuse, validateManifest, type ValidManifest } from "./validate-manifest.ts";
import { type WaitGoal, waitForResource } from "./wait-for.ts";

/** Where a named resource is looked for. */
export interface NamespaceOptions {
  /** Default `default`; not used for kinds that belong to no namespace. */
  readonly namespace?: string;
}

/** How a write of {@link ResourceClient.apply} went. */
export interface Applied<R> {
  readonly resource: R;
  readonly operation: "created" | "configured" | "unchanged";
  /** What was accepted and may not be what was meant, or is written otherwise now. */
  readonly warnings: readonly string[];
}

/** What a user sends of a kind. */
export type ManifestOf<K extends Kind> = Manifest<K, KindInputs[K]>;

/** A merge patch: objects merge, `null` removes, everything else replaces. Source: RFC 7396. */
export type MergePatch = Readonly<Record<string, unknown>>;

/** Reads and writes the resources of a kind, with all rules of the kind checked. */
export class ResourceClient<K extends Kind> {
  readonly kind: K;
  readonly #definition: KindDefinition<Kinds[K]>;
  readonly #store: ResourceStore;
  readonly #clock: Clock;
  readonly #random: RandomSource;
  readonly #logger: Logger;

  constructor(
    kind: K,
    parts: {
      readonly store: ResourceStore;
      readonly clock: Clock;
      readonly random: RandomSource;
      readonly logger: Logger;
    },
  ) {
    this.kind = kind;
    this.#definition = KINDS[kind] as unknown as KindDefinition<Kinds[K]>;
    this.#store = parts.store;
    this.#clock = parts.clock;
    this.#random = parts.random;
    this.#logger = parts.logger;
  }

  /** @throws `POLYVISOR_NOT_FOUND`. */
  async get(name: string, options: NamespaceOptions = {}): Promise<Kinds[K]> {
    const resource = await this.#store.get(this.kind, this.#name(name, options));
    if (resource) return resource;
    throw new PolyvisorError(
      "POLYVISOR_NOT_FOUND",
      `${this.kind} "${keyOf(this.#name(name, options))}" does not exist`,
    );
  }

  /** Resources of all namespaces, unless one is named. */
  list(options?: ListOptions): Promise<ResourceList<Kinds[K]>> {
    return this.#store.list(this.kind, options);
  }

  /** @throws `POLYVISOR_INVALID` with every broken rule, `POLYVISOR_ALREADY_EXISTS`. */
  async create(manifest: ManifestOf<K>): Promise<Kinds[K]> {
    return this.#logging((warnings) => this.#create(this.#validate(manifest), warnings));
  }

  /**
   * Replaces what is wanted of a resource that was read before. Its status is left alone.
   *
   * @throws `POLYVISOR_INVALID`, `POLYVISOR_NOT_FOUND`, `POLYVISOR_CONFLICT` when it has changed since.
   */
  async update(resource: Kinds[K]): Promise<Kinds[K]> {
    const valid = this.#validate(resource as unknown as ManifestOf<K>);
    const stored = await this.get(resource.metadata.name, resource.metadata);
    return this.#logging((warnings) => this.#update(stored, valid, resource.metadata, warnings));
  }

  /** Changes parts of a resource. Repeats by itself when somebody else writes at the same time. */
  async patch(name: string, patch: MergePatch, options: NamespaceOptions = {}): Promise<Kinds[K]> {
    if (!isPlainObject(patch)) throw new TypeError("a merge patch is an object");
    for (;;) {
      const stored = await this.get(name, options);
      const patched = mergePatch(stored, patch) as Kinds[K];
      const { namespace, resourceVersion } = stored.metadata;
      const metadata: ObjectMeta = {
        ...patched.metadata,
        name,
        ...(namespace !== undefined && { namespace }),
        resourceVersion,
      };
      const valid = this.#validate({ ...patched, metadata } as never);
      try {
        return await this.#logging((warnings) => this.#update(stored, valid, metadata, warnings));
      } catch (error) {
        if (!isPolyvisorError(error, "POLYVISOR_CONFLICT")) throw error;
      }
    }
  }

  /**
   * Creates a resource, or makes an existing one like the manifest. Labels and annotations are merged with those that
   * are there; everything else is replaced.
   */
  async apply(manifest: ManifestOf<K>): Promise<Applied<Kinds[K]>> {
    const valid = this.#validate(manifest);
    const { name, namespace, labels, annotations } = valid.metadata;
    for (;;) {
      const warnings = [...valid.warnings];
      if (name === undefined) {
        const resource = await this.#create(valid, warnings);
        return { resource, operation: "created", warnings };
      }
      const stored = await this.#store.get(
        this.kind,
        this.#name(name, { ...(namespace !== undefined && { namespace }) }),
      );
      try {
        if (stored === undefined) {
          const resource = await this.#create(valid, warnings);
          return { resource, operation: "created", warnings };
        }
        const { metadata } = stored;
        const merged: ObjectMeta = {
          ...metadata,
          ...(labels && { labels: { ...metadata.labels, ...labels } }),
          ...(annotations && { annotations: { ...metadata.annotations, ...annotations } }),
        };
        const resource = await this.#update(stored, valid, merged, warnings);
        const unchanged = resource.metadata.resourceVersion === metadata.resourceVersion;
        return { resource, operation: unchanged ? "unchanged" : "configured", warnings };
      } catch (error) {
        const raced =
          isPolyvisorError(error, "POLYVISOR_CONFLICT") ||
          isPolyvisorError(error, "POLYVISOR_ALREADY_EXISTS");
        if (!raced) throw error;
      }
    }
  }

  /**
   * Asks for deletion; {@link waitFor} with `deleted` tells when it is done.
   *
   * @throws `POLYVISOR_NOT_FOUND`, `POLYVISOR_REFUSED` for what cannot be deleted.
   */
  async delete(name: string, options: NamespaceOptions = {}): Promise<void> {
    const { admitDeletion } = this.#definition;
    const reason = admitDeletion?.(await this.get(name, options));
    if (reason !== undefined) throw new PolyvisorError("POLYVISOR_REFUSED", reason);
    return this.#store.delete(this.kind, this.#name(name, options));
  }

  /** Changes from now on, or after `resourceVersion`. */
  watch(options?: WatchOptions): AsyncIterable<WatchEvent<Kinds[K]>> {
    return this.#store.watch(this.kind, options);
  }

  /**
   * Waits until a resource has reached a goal; one that does not exist yet is waited for.
   *
   * @param options.timeout Milliseconds; default: without end.
   * @throws `POLYVISOR_FAILED` when it fails for good, `POLYVISOR_TIMEOUT` with what holds it up, and the reason of
   *   `signal`.
   */
  waitFor(
    name: string,
    goal: WaitGoal<Kinds[K]>,
    options: NamespaceOptions & { readonly signal?: AbortSignal; readonly timeout?: number } = {},
  ): Promise<Kinds[K]> {
    const { namespace, ...limits } = options;
    const where = this.#name(name, { ...(namespace !== undefined && { namespace }) });
    return waitForResource(this.#store, this.#clock, this.kind, where, goal, limits);
  }

  #name(name: string, { namespace = DEFAULT_NAMESPACE }: NamespaceOptions): ResourceName {
    return this.#definition.namespaced ? { name, namespace } : { name };
  }

  /** Warnings of calls that give back the resource itself go to the log. */
  async #logging(write: (warnings: string[]) => Promise<Kinds[K]>): Promise<Kinds[K]> {
    const warnings: string[] = [];
    const resource = await write(warnings);
    const about = { kind: this.kind, resource: keyOf(resource.metadata) };
    for (const warning of warnings) this.#logger.warn(about, warning);
    return resource;
  }

  #validate(manifest: ManifestOf<K>): ValidManifest {
    return validateManifest(this.#definition as unknown as KindDefinition<Resource>, {
      ...manifest,
    });
  }

  async #create({ metadata, content }: ValidManifest, warnings: string[]): Promise<Kinds[K]> {
    const { labels, annotations, finalizers, ownerReferences, namespace, generateName } = metadata;
    const name = metadata.name ?? `${generateName}${randomNameSuffix(this.#random)}`;
    const resource = {
      apiVersion: this.#definition.apiVersion,
      kind: this.kind,
      metadata: {
        name,
        ...(namespace !== undefined && { namespace }),
        ...(labels && { labels }),
        ...(annotations && { annotations }),
        ...(finalizers && { finalizers }),
        ...(ownerReferences && { ownerReferences }),
      },
      ...content,
    };
    const context = await this.#context(undefined, warnings);
    const admitted = await this.#admit(resource as unknown as Kinds[K], context);
    if (namespace !== undefined) await ensureNamespace(this.#store, namespace);
    return this.#store.create(this.kind, admitted as unknown as NewResource<Kinds[K]>);
  }

  async #update(
    stored: Kinds[K],
    { content }: ValidManifest,
    metadata: ObjectMeta,
    warnings: string[],
  ): Promise<Kinds[K]> {
    const { status, metadata: _, ...before } = stored as Resource;
    const next = {
      apiVersion: stored.apiVersion,
      kind: stored.kind,
      ...content,
      ...(status !== undefined && { status }),
      metadata,
    } as unknown as Kinds[K];
    const { status: _status, metadata: _metadata, ...after } = next as Resource;
    if (jsonEquals(before, after)) {
      await this.#admitMetadata(next, stored, warnings);
      return this.#store.update(this.kind, next);
    }
    const admitted = await this.#admit(next, await this.#context(stored, warnings));
    return this.#store.update(this.kind, admitted);
  }

  /** Fills in the rest of the defaults and checks the rules. */
  async #admit(next: Kinds[K], context: AdmissionContext<Kinds[K]>): Promise<Kinds[K]> {
    const filled = (await this.#definition.setDefaults?.(next, context)) ?? next;
    if (Array.isArray(filled)) throw this.#refuse(next, filled as readonly AdmissionIssue[]);
    const resource = filled as Kinds[K];
    const { admit, admitMetadata } = this.#definition;
    const issues = [
      ...unfulfilled(this.kind, resource, context.previous),
      ...((await admitMetadata?.(resource, context)) ?? []),
      ...((await admit?.(resource, context)) ?? []),
    ];
    if (issues.length > 0) throw this.#refuse(next, issues);
    return resource;
  }

  async #admitMetadata(next: Kinds[K], previous: Kinds[K], warnings: string[]): Promise<void> {
    const { admitMetadata } = this.#definition;
    const unchanged =
      jsonEquals(previous.metadata.labels, next.metadata.labels) &&
      jsonEquals(previous.metadata.annotations, next.metadata.annotations);
    if (admitMetadata === undefined || unchanged) return;
    const issues = await admitMetadata(next, await this.#context(previous, warnings));
    if (issues.length > 0) throw this.#refuse(next, issues);
  }

  #refuse({ metadata }: Kinds[K], issues: readonly AdmissionIssue[]): PolyvisorError {
    const lines = issues.map(({ field, message }) => `${field}: ${message}`);
    return refuse(this.#definition, metadata, lines);
  }

  async #context(
    previous: Kinds[K] | undefined,
    warnings: string[],
  ): Promise<AdmissionContext<Kinds[K]>> {
    const store = this.#store;
    const config = await store.get("ModuleConfig", { name: MODULE_CONFIG_NAME });
    return {
      previous,
      virtualMachineCIDRs: config?.spec.settings.virtualMachineCIDRs ?? [],
      get: (kind, where) => store.get(kind, where),
      list: async (kind, namespace) =>
        (await store.list(kind, { ...(namespace !== undefined && { namespace }) })).items,
      warn: (message) => warnings.push(message),
    };
  }
}
