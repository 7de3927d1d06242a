import { setTimeout as sleep } from "node:timers/promises";
import { type MigrationRequest, type MigrationState, PolyvisorError } from "@polyvisor/core";
import type { HostDomain, LibvirtHost } from "../host/libvirt-host.ts";
import { translated } from "../host/translate-error.ts";
import { isInvalidStateError, isLibvirtError, isNotFoundError } from "../rpc/libvirt-error.ts";
import { isRpcError } from "../rpc/rpc-error.ts";
import { procedures } from "../rpc/procedures.ts";
import type { DomainHandle } from "../rpc/struct-layouts.ts";
import { callMigration } from "./migration-call.ts";
import type { MigrationBook } from "./migration-book.ts";
import {
  MIGRATION_NAMESPACE,
  MIGRATION_PREFIX,
  type MigrationMark,
  migrationElement,
} from "./migration-mark.ts";
import type { LibvirtMigrationOptions } from "./migration-options.ts";
import { isHeldForMigration, presenceOn } from "./migration-places.ts";
import type { MigrationPlan } from "./migration-plan.ts";
import { migrationProgress } from "./migration-progress.ts";
import { settleArrival, undoPreparation } from "./migration-settlement.ts";
import { renderXml } from "../xml/render-xml.ts";

const POLL_MILLISECONDS = 250;
const RETRY_MILLISECONDS = 1_000;
/** Numbers of libvirt: `VIR_DOMAIN_METADATA_ELEMENT`, and flags of the procedures below. */
const METADATA_ELEMENT = 2;
const AFFECT_LIVE = 1;
const AFFECT_CONFIG = 2;

/** One migration of one guest, from its preparation until nothing of it is left to do. */
export class MigrationJob {
  readonly uid: string;
  readonly source: LibvirtHost;
  readonly target: LibvirtHost;
  readonly #domain: DomainHandle;
  readonly #book: MigrationBook;
  readonly #ending: AbortSignal;
  #mark: MigrationMark;
  #isCancelled = false;
  #isOver = false;

  constructor(options: {
    readonly source: LibvirtHost;
    readonly target: LibvirtHost;
    readonly domain: DomainHandle;
    readonly mark: MigrationMark;
    readonly book: MigrationBook;
    /** Aborted when the backend is closed; the daemons go on by themselves. */
    readonly ending: AbortSignal;
  }) {
    this.source = options.source;
    this.target = options.target;
    this.uid = options.domain.uuid;
    this.#domain = options.domain;
    this.#mark = options.mark;
    this.#book = options.book;
    this.#ending = options.ending;
  }

  get id(): string {
    return this.#mark.id;
  }

  /** True when it is decided where the guest is. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /**
   * Migrates the guest. `onUnderway` is called when data flows.
   *
   * @throws when it failed before that; the guest is then as it was.
   */
  async run(
    plan: MigrationPlan,
    request: MigrationRequest,
    options: LibvirtMigrationOptions,
    peerUri: string,
    onUnderway: () => void,
  ): Promise<void> {
    this.#show({ phase: "preparing" });
    try {
      await this.#setMark(this.source, this.#mark);
      await this.target.networks.during(
        plan.interfaces,
        () => this.#move(plan, request, options, peerUri, onUnderway),
        this.#ending,
      );
    } finally {
      await this.#finish();
    }
  }

  /** Follows a migration that an earlier process has begun, and does what it has left to do. */
  async takeOver(hasArrived: boolean): Promise<void> {
    this.#show({ phase: hasArrived ? "succeeded" : "copying" });
    try {
      if (!hasArrived) await this.#follow(this.#ending, undefined, () => {});
      await this.#judge(undefined);
    } finally {
      await this.#finish();
    }
  }

  /** Asks the source's daemon to give up. */
  async cancel(signal: AbortSignal): Promise<void> {
    this.#isCancelled = true;
    try {
      await this.source.connections.call(
        procedures.domainAbortJob,
        { domain: this.#domain },
        { signal },
      );
    } catch (error) {
      // It is over, or cannot be stopped any more.
      if (!isInvalidStateError(error) && !isNotFoundError(error)) throw error;
    }
  }

  /** A target that does not answer keeps an idle network until the next guest has left it. */
  async #finish(): Promise<void> {
    this.#isOver = true;
    this.#book.delete(this.uid);
    this.target.reportGuest(this.#domain);
    this.source.reportGuest(this.#domain);
    if (!this.target.isReachable) return;
    try {
      await this.target.networks.releaseAll(this.#ending);
    } catch (error) {
      if (!this.#ending.aborted && !isLibvirtError(error) && !isRpcError(error)) throw error;
    }
  }

  async #move(
    plan: MigrationPlan,
    request: MigrationRequest,
    options: LibvirtMigrationOptions,
    peerUri: string,
    onUnderway: () => void,
  ): Promise<void> {
    const moved = new AbortController();
    let underway = false;
    const following = this.#follow(
      AbortSignal.any([this.#ending, moved.signal]),
      options.postCopyAfterMilliseconds,
      () => {
        underway = true;
        onUnderway();
      },
    );
    let problem: unknown;
    try {
      await this.#prepare(plan);
      if (this.#isCancelled) throw new Error("it was cancelled before data flowed");
      await callMigration(
        this.source,
        this.#domain,
        { peerUri, plan, request, options },
        this.#ending,
      );
    } catch (error) {
      problem = error;
    } finally {
      moved.abort();
      await following;
    }
    this.#ending.throwIfAborted();
    const arrived = await this.#judge(problem);
    if (arrived || underway || this.#isCancelled) return;
    await this.#forgetMark();
    await translated(this.source.name, () => Promise.reject(asError(problem)));
  }

  async #prepare({ copies, media }: MigrationPlan): Promise<void> {
    const signal = this.#ending;
    for (const { className, volume } of copies) {
      const pool = this.target.pools.get(className);
      // What an earlier attempt has left.
      await pool?.delete(volume.name, signal);
      await pool?.hide(volume.name, signal);
      await pool?.make(volume, signal);
    }
    for (const name of media) {
      const medium = await this.source.pool.volume(name, signal);
      if (medium === undefined) continue;
      await this.target.pool.delete(name, signal);
      const copy = await this.target.pool.create(name, medium.sizeBytes, signal);
      await this.target.pool.write(copy, this.source.pool.read(medium, signal), signal);
    }
  }

  /** Tells of progress until the signal is aborted, or until no job is left to follow. */
  async #follow(
    signal: AbortSignal,
    postCopyAfter: number | undefined,
    onData: () => void,
  ): Promise<void> {
    const began = performance.now();
    let postCopy = postCopyAfter === undefined ? "never" : "later";
    let seen = false;
    let phase: "preparing" | "copying" | "switching" = "preparing";
    try {
      for (;;) {
        const { type, parameters } = await this.source.connections.call(
          procedures.domainGetJobStats,
          { domain: this.#domain, flags: 0 },
          { signal },
        );
        const state = await this.source.connections.call(
          procedures.domainGetState,
          { domain: this.#domain, flags: 0 },
          { signal },
        );
        if (type !== 0) {
          seen = true;
          const isSwitching: boolean = isHeldForMigration(state) || phase === "switching";
          phase = isSwitching ? "switching" : "copying";
          this.#show({ phase, ...migrationProgress(parameters) });
          onData();
          // A daemon that had not begun yet did not hear of it.
          if (this.#isCancelled && phase === "copying") await this.cancel(signal);
          if (postCopy === "later" && performance.now() - began > (postCopyAfter ?? 0)) {
            postCopy = "begun";
            await this.#startPostCopy(signal);
          }
        } else if (seen || signal === this.#ending) return;
        await sleep(POLL_MILLISECONDS, undefined, { signal });
      }
    } catch {
      // The guest has left the host, the host does not answer, or it is over: judging it tells which.
    }
  }

  async #startPostCopy(signal: AbortSignal): Promise<void> {
    try {
      await this.source.connections.call(
        procedures.domainMigrateStartPostCopy,
        { domain: this.#domain, flags: 0 },
        { signal },
      );
    } catch (error) {
      // It has switched by itself in the meantime.
      if (!isInvalidStateError(error) && !isNotFoundError(error)) throw error;
    }
  }

  /** Finds out where the guest is, puts the rest in order there and notes how it ended. True: at the target. */
  async #judge(problem: unknown): Promise<boolean> {
    for (;;) {
      const [atSource, atTarget] = await Promise.all([
        presenceOn(this.source, this.uid, this.#ending),
        presenceOn(this.target, this.uid, this.#ending),
      ]);
      const stayed = isGuest(atSource) && !isMoving(atSource);
      if (stayed) {
        await this.#stay(atSource, atTarget, problem);
        return false;
      }
      if (isGuest(atTarget) && atTarget.description.migration?.id === this.id) {
        this.#isOver = true;
        this.#show({ phase: "succeeded" });
        this.target.reportGuest(this.#domain);
        await settleArrival(this, this.#mark, this.#ending);
        await this.#setMark(this.target, { ...this.#mark, settled: true });
        return true;
      }
      const isHeld = isGuest(atSource) && atTarget !== "unknown";
      if (isHeld) await this.#letGoOn();
      const isNowhere = atSource === "absent" && atTarget !== "unknown";
      if (isNowhere) {
        throw new PolyvisorError(
          "POLYVISOR_REFUSED",
          `guest "${this.#domain.name}" was lost in its migration from "${this.source.name}" to "${this.target.name}": ${asError(problem).message}`,
        );
      }
      await sleep(RETRY_MILLISECONDS, undefined, { signal: this.#ending });
    }
  }

  async #stay(
    atSource: HostDomain,
    atTarget: HostDomain | "absent" | "unknown",
    problem: unknown,
  ): Promise<void> {
    const end = this.#isCancelled ? "cancelled" : "failed";
    const message =
      problem === undefined ? "it ended while nobody followed it" : asError(problem).message;
    this.#mark = { ...this.#mark, end, ...(end === "failed" && { message }) };
    // Its daemon has decided that it failed: what may run at the target is not the guest.
    if (isGuest(atTarget) && atTarget.description.migration?.id === this.id) {
      await this.target.connections.call(
        procedures.domainDestroyFlags,
        { domain: atTarget.handle, flags: 0 },
        { signal: this.#ending },
      );
    }
    const { power } = atSource.state ?? {};
    if (power !== undefined && power !== "stopped") await this.#setMark(this.source, this.#mark);
    this.#isOver = true;
    this.#show({ phase: end, ...(end === "failed" && { message }) });
    if (this.target.isReachable) await undoPreparation(this, this.#mark, this.#ending);
  }

  /** A guest that is held although it did not get to the target goes on where it is. */
  async #letGoOn(): Promise<void> {
    const { type } = await this.source.connections.call(
      procedures.domainGetJobStats,
      { domain: this.#domain, flags: 0 },
      { signal: this.#ending },
    );
    if (type !== 0) return;
    try {
      await this.source.connections.call(
        procedures.domainResume,
        { domain: this.#domain },
        { signal: this.#ending },
      );
    } catch (error) {
      if (!isInvalidStateError(error) && !isNotFoundError(error)) throw error;
    }
  }

  async #setMark(host: LibvirtHost, mark: MigrationMark): Promise<void> {
    await this.#writeMark(host, renderXml(migrationElement(mark)));
  }

  async #forgetMark(): Promise<void> {
    await this.#writeMark(this.source, undefined);
  }

  async #writeMark(host: LibvirtHost, metadata: string | undefined): Promise<void> {
    await host.connections.call(
      procedures.domainSetMetadata,
      {
        domain: this.#domain,
        type: METADATA_ELEMENT,
        metadata,
        key: MIGRATION_PREFIX,
        uri: MIGRATION_NAMESPACE,
        flags: AFFECT_LIVE | AFFECT_CONFIG,
      },
      { signal: this.#ending },
    );
  }

  #show(progress: Omit<MigrationState, "id" | "source" | "target">): void {
    const { id, source, target } = this.#mark;
    const before = this.#book.get(this.uid);
    const next = { id, source, target, ...progress };
    this.#book.set(this.uid, next);
    if (JSON.stringify(before) !== JSON.stringify(next)) this.source.reportGuest(this.#domain);
  }
}

function isGuest(presence: HostDomain | "absent" | "unknown"): presence is HostDomain {
  return typeof presence === "object" && !presence.inTransit;
}

/** Held for the switch: it is not decided yet where the guest is. */
function isMoving({ power }: HostDomain): boolean {
  return isHeldForMigration(power);
}

function asError(problem: unknown): Error {
  return problem instanceof Error ? problem : new Error("it ended for an unknown reason");
}
