import {
  type GuestRef,
  type LiveMigration,
  type MigrationRequest,
  PolyvisorError,
} from "@polyvisor/core";
import type { HostSet } from "./host/host-set.ts";
import type { HostDomain, LibvirtHost } from "./host/libvirt-host.ts";
import { translated } from "./host/translate-error.ts";
import type { MigrationBook } from "./migration/migration-book.ts";
import { MigrationJob } from "./migration/migration-job.ts";
import type { MigrationMark } from "./migration/migration-mark.ts";
import type { LibvirtMigrationOptions } from "./migration/migration-options.ts";
import { planMigration } from "./migration/migration-plan.ts";

/** Migrations that are remembered as cancelled before they began. */
const MOST_UNWANTED = 1_000;

/** Migrates guests from daemon to daemon: they carry a migration on also when nobody follows it. */
export class LiveMigrations implements LiveMigration {
  readonly #hosts: HostSet;
  readonly #book: MigrationBook;
  readonly #options: LibvirtMigrationOptions;
  readonly #jobs = new Map<string, { readonly job: MigrationJob; readonly done: Promise<void> }>();
  readonly #ending = new AbortController();
  /** Migrations that were cancelled before they began, the last ones. */
  readonly #unwanted = new Set<string>();

  constructor(hosts: HostSet, book: MigrationBook, options: LibvirtMigrationOptions) {
    this.#hosts = hosts;
    this.#book = book;
    this.#options = options;
  }

  async start(ref: GuestRef, request: MigrationRequest, signal: AbortSignal): Promise<void> {
    if (!("host" in request.target)) throw refused("name the host to migrate to");
    const source = this.#hosts.get(request.source);
    const target = this.#hosts.get(request.target.host);
    if (source === target) throw refused(`the guest is on host "${source.name}" already`);
    await source.guestMutex.run(ref.uid, async () => {
      await this.#former(ref.uid, request.id);
      if (this.#jobs.get(ref.uid)?.job.id === request.id) return;
      const atTarget = await translated(target.name, () => target.domain(ref.uid, signal));
      if (atTarget?.description.migration?.id === request.id) return;
      const guest = await translated(source.name, () => source.domain(ref.uid, signal));
      if (guest?.description.migration?.id === request.id) return;
      if (this.#unwanted.has(request.id)) {
        throw refused(`migration "${request.id}" was cancelled before it began`);
      }
      const runs = this.#judgeSource(guest, ref, source);
      judgeTarget(atTarget, target, ref);
      if (target.peerUri === undefined) {
        throw refused(
          `host "${target.name}" takes no guests from others: say by "peerUri" how their daemons reach its daemon`,
        );
      }
      await this.#begin(source, target, runs, request, signal);
    });
  }

  async cancel({ uid }: GuestRef, id: string, signal: AbortSignal): Promise<void> {
    const running = this.#jobs.get(uid);
    if (running?.job.id !== id) return this.#refuseLater(id);
    await translated(running.job.source.name, () => running.job.cancel(signal));
  }

  /** Follows migrations that an earlier process has begun. */
  takeOver(host: LibvirtHost, domains: readonly HostDomain[]): void {
    for (const { handle, description, state, inTransit } of domains) {
      const { migration: mark } = description;
      const isOpen = mark && mark.end === undefined && !mark.settled && !inTransit;
      if (!state || !isOpen || this.#jobs.has(handle.uuid)) continue;
      if (!this.#hosts.has(mark.source) || !this.#hosts.has(mark.target)) continue;
      if (state.power === "stopped" && host.name === mark.source) continue;
      const job = this.#job(handle, mark);
      this.#follow(job, job.takeOver(host.name === mark.target));
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ending.abort(new Error("the backend was closed"));
    await Promise.all([...this.#jobs.values()].map(({ done }) => done));
  }

  async #begin(
    source: LibvirtHost,
    target: LibvirtHost,
    guest: HostDomain,
    request: MigrationRequest,
    signal: AbortSignal,
  ): Promise<void> {
    const { peerUri = "" } = target;
    const plan = await translated(source.name, () =>
      planMigration(source, target, guest, request, signal),
    );
    const copied = plan.copies.map(({ className, volume }) => `${className}/${volume.name}`);
    const job = this.#job(guest.handle, {
      id: request.id,
      source: source.name,
      target: target.name,
      settled: false,
      copied,
    });
    const { promise: underway, resolve } = Promise.withResolvers<void>();
    const running = job.run(plan, request, this.#options, peerUri, resolve);
    this.#follow(job, running);
    await Promise.race([underway, running]);
  }

  #job(domain: HostDomain["handle"], mark: MigrationMark): MigrationJob {
    return new MigrationJob({
      source: this.#hosts.get(mark.source),
      target: this.#hosts.get(mark.target),
      domain,
      mark,
      book: this.#book,
      ending: this.#ending.signal,
    });
  }

  #follow(job: MigrationJob, running: Promise<void>): void {
    // How it went is in the guest's state, and with whoever waits for the beginning.
    const done = running
      .catch(() => {})
      .finally(() => {
        if (this.#jobs.get(job.uid)?.job === job) this.#jobs.delete(job.uid);
      });
    this.#jobs.set(job.uid, { job, done });
  }

  /** A start with this id may still be under way. */
  #refuseLater(id: string): void {
    this.#unwanted.add(id);
    if (this.#unwanted.size <= MOST_UNWANTED) return;
    for (const oldest of this.#unwanted) {
      this.#unwanted.delete(oldest);
      return;
    }
  }

  /** Waits for what a migration that has ended still has to put in order. */
  async #former(uid: string, id: string): Promise<void> {
    const former = this.#jobs.get(uid);
    if (former && former.job.id !== id && former.job.isOver) await former.done;
  }

  #judgeSource(
    guest: HostDomain | undefined,
    { uid, incarnation }: GuestRef,
    source: LibvirtHost,
  ): HostDomain {
    const { state, inTransit } = guest ?? {};
    if (
      !guest ||
      !state ||
      inTransit ||
      state.incarnation !== incarnation ||
      state.power !== "running"
    ) {
      throw refused(
        `incarnation ${incarnation} of guest ${uid} does not run on host "${source.name}"`,
      );
    }
    const other = this.#jobs.get(uid)?.job.id;
    if (other !== undefined) {
      throw refused(`guest "${guest.description.name}" is in migration "${other}" already`);
    }
    return guest;
  }
}

function judgeTarget(
  present: HostDomain | undefined,
  target: LibvirtHost,
  { incarnation }: GuestRef,
): void {
  if (present === undefined) return;
  const { state, description } = present;
  const isOld = state?.power === "stopped" && state.incarnation <= incarnation;
  if (isOld) return;
  throw refused(
    state === undefined
      ? `host "${target.name}" has a guest "${description.name}" of that id which is not managed here: it is left alone`
      : `host "${target.name}" has incarnation ${state.incarnation} of guest "${description.name}" already`,
  );
}

function refused(reason: string): PolyvisorError {
  return new PolyvisorError("POLYVISOR_REFUSED", reason);
}
