import { resetNote } from "../domain/domain-notes.ts";
import type { HostDomain, LibvirtHost } from "./libvirt-host.ts";

/**
 * The guests of a host that have asked for a reboot, by which they end. libvirt takes that for a shutdown, so what was
 * learned from an event is noted in the domain, and outlives this process.
 */
export class GuestResets {
  readonly #host: LibvirtHost;
  readonly #seen = new Set<string>();

  constructor(host: LibvirtHost) {
    this.#host = host;
  }

  /** True when a guest has asked for a reboot and has not been started since. */
  has(uuid: string): boolean {
    return this.#seen.has(uuid);
  }

  add(uuid: string): void {
    this.#seen.add(uuid);
  }

  /** A guest has been started anew, or is gone. */
  delete(uuid: string): void {
    this.#seen.delete(uuid);
  }

  /** What has been seen so far; see {@link GuestResets.settle}. */
  seen(): ReadonlySet<string> {
    return new Set(this.#seen);
  }

  /** Notes with the domain of a guest that it has ended so. */
  async keep({ handle, state }: HostDomain, signal: AbortSignal): Promise<void> {
    if (state?.stopReason !== "guest-reset" || !this.#seen.has(handle.uuid)) return;
    await this.#host.note(handle, resetNote(state.incarnation), "config", signal);
    this.#seen.delete(handle.uuid);
  }

  /** Keeps and forgets what was seen on a connection that was lost: guests may have been started anew since. */
  async settle(
    former: ReadonlySet<string>,
    domains: readonly HostDomain[],
    signal: AbortSignal,
  ): Promise<void> {
    for (const domain of domains) {
      if (former.has(domain.handle.uuid)) await this.keep(domain, signal);
    }
    for (const uuid of former) this.#seen.delete(uuid);
  }
}
