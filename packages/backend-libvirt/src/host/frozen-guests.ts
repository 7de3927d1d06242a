import type { Logger } from "@polyvisor/core";
import { FROZEN_NOTE } from "../domain/domain-notes.ts";
import { isInvalidStateError, isNotFoundError } from "../rpc/libvirt-error.ts";
import { procedures } from "../rpc/procedures.ts";
import type { DomainHandle } from "../rpc/struct-layouts.ts";
import type { HostDomain, LibvirtHost } from "./libvirt-host.ts";

/** Pauses between attempts to let a guest go on whose agent does not answer: 1 s doubling up to 30 s. */
const retryPause = (failures: number): number => Math.min(1_000 * 2 ** failures, 30_000);
/** The longest delay of a timer. Source: ECMAScript host, signed 32 bits. */
const LONGEST_DELAY = 2 ** 31 - 1;

/**
 * The guests of a host whose file systems are at rest. Each is let go on when its time is over, whatever becomes of who
 * asked for the rest: until when is noted in the domain, so that a later process takes over.
 */
export class FrozenGuests {
  readonly #host: LibvirtHost;
  readonly #logger: Logger;
  readonly #timers = new Map<string, NodeJS.Timeout>();
  readonly #ending = new AbortController();

  constructor(host: LibvirtHost, logger: Logger) {
    this.#host = host;
    this.#logger = logger;
  }

  /** Takes over the guests that an earlier process, or an earlier connection, has left at rest. */
  resume(domains: readonly HostDomain[]): void {
    for (const { handle, description, state } of domains) {
      const until = description.frozenUntil;
      if (until && state && state.power !== "stopped") this.expect(handle, until);
    }
  }

  /** Lets a guest go on at a time, unless {@link thaw} did so before. */
  expect(domain: DomainHandle, until: Date): void {
    this.#schedule(domain, Math.max(until.getTime() - Date.now(), 0));
  }

  /** Lets a guest go on. Does nothing when it does. */
  async thaw(domain: DomainHandle, signal: AbortSignal): Promise<void> {
    await this.#host.connections.call(
      procedures.domainFsthaw,
      { domain, mountPoints: [], flags: 0 },
      { signal },
    );
    await this.#forget(domain, signal);
  }

  /** Stops the timers; what they are for stays noted. */
  release(): void {
    this.#ending.abort();
    for (const timer of this.#timers.values()) clearTimeout(timer);
    this.#timers.clear();
  }

  async #forget(domain: DomainHandle, signal: AbortSignal): Promise<void> {
    clearTimeout(this.#timers.get(domain.uuid));
    this.#timers.delete(domain.uuid);
    await this.#host.note(domain, FROZEN_NOTE, "live", signal);
    this.#host.reportGuest(domain);
  }

  #schedule(domain: DomainHandle, milliseconds: number, failures = 0): void {
    if (this.#ending.signal.aborted) return;
    clearTimeout(this.#timers.get(domain.uuid));
    const timer = setTimeout(
      () => void this.#thawNow(domain, failures),
      Math.min(milliseconds, LONGEST_DELAY),
    );
    timer.unref();
    this.#timers.set(domain.uuid, timer);
  }

  async #thawNow(domain: DomainHandle, failures: number): Promise<void> {
    try {
      await this.thaw(domain, this.#ending.signal);
    } catch (error) {
      // It does not run any more, and nothing of it is at rest.
      if (isInvalidStateError(error) || isNotFoundError(error)) {
        this.#timers.delete(domain.uuid);
        return;
      }
      const message = error instanceof Error ? error.message : String(error);
      this.#logger.warn(
        { host: this.#host.name, guest: domain.uuid, error: message },
        "a guest could not be let go on after its file systems were brought to rest; trying again",
      );
      this.#schedule(domain, retryPause(failures), failures + 1);
    }
  }
}
