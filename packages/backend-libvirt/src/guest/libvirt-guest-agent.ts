import {
  type GuestAgent,
  type GuestAgentInfo,
  type GuestRef,
  PolyvisorError,
} from "@polyvisor/core";
import { frozenNote } from "../domain/domain-notes.ts";
import type { HostSet } from "../host/host-set.ts";
import type { LibvirtHost } from "../host/libvirt-host.ts";
import { translated } from "../host/translate-error.ts";
import { isAgentUnavailableError } from "../rpc/libvirt-error.ts";
import { procedures } from "../rpc/procedures.ts";
import { isRpcError } from "../rpc/rpc-error.ts";
import type { DomainHandle } from "../rpc/struct-layouts.ts";
import { agentVersion, readGuestInfo } from "./guest-info.ts";
import { findRunning } from "./running-guest.ts";

/** Number of libvirt, `virDomainGuestInfoTypes`: operating system, host name, interfaces. */
const INFO_TYPES = 2 | 8 | 64;

/** Seconds within which an agent answers that is not asked to bring file systems to rest. */
const PATIENCE_SECONDS = 10;
/** Seconds that libvirt takes besides, to find out whether the agent is there. */
const MARGIN_SECONDS = 10;

interface Conversation {
  readonly host: LibvirtHost;
  readonly domain: DomainHandle;
  readonly options: { readonly signal: AbortSignal; readonly deadlineMs: number };
}

/** Talks to the agents of guests on libvirt hosts. */
export class LibvirtGuestAgent implements GuestAgent {
  readonly #hosts: HostSet;

  constructor(hosts: HostSet) {
    this.#hosts = hosts;
  }

  info(ref: GuestRef, hostName: string, signal: AbortSignal): Promise<GuestAgentInfo> {
    return this.#talk(ref, hostName, { signal }, async ({ host, domain, options }) => {
      const { result } = await host.connections.call(
        procedures.qemuAgentCommand,
        {
          domain,
          command: JSON.stringify({ execute: "guest-info" }),
          timeout: PATIENCE_SECONDS,
          flags: 0,
        },
        options,
      );
      const { parameters } = await host.connections.call(
        procedures.domainGetGuestInfo,
        { domain, types: INFO_TYPES, flags: 0 },
        options,
      );
      return { ...agentVersion(result), ...readGuestInfo(parameters) };
    });
  }

  freeze(
    ref: GuestRef,
    hostName: string,
    { timeoutSeconds, signal }: Parameters<GuestAgent["freeze"]>[2],
  ): Promise<void> {
    const settings = { signal, patienceSeconds: timeoutSeconds };
    return this.#talk(ref, hostName, settings, async ({ host, domain, options }) => {
      const present = await host.domain(ref.uid, signal);
      if (present?.description.frozenUntil) return;
      const until = new Date(Date.now() + timeoutSeconds * 1000);
      // First, so that whatever happens from here on, the guest is let go on.
      await host.note(domain, frozenNote(until), "live", signal);
      host.frozenGuests.expect(domain, until);
      try {
        await host.connections.call(
          procedures.domainFsfreeze,
          { domain, mountPoints: [], flags: 0 },
          options,
        );
      } catch (error) {
        // It may have come to rest all the same.
        host.frozenGuests.expect(domain, new Date());
        throw error;
      }
      host.reportGuest(domain);
    });
  }

  thaw(ref: GuestRef, hostName: string, signal: AbortSignal): Promise<void> {
    return this.#talk(ref, hostName, { signal }, async ({ host, domain }) => {
      const present = await host.domain(ref.uid, signal);
      if (present?.description.frozenUntil) await host.frozenGuests.thaw(domain, signal);
    });
  }

  /** The clock of the guest. */
  time(ref: GuestRef, hostName: string, signal: AbortSignal): Promise<Date> {
    return this.#talk(ref, hostName, { signal }, async ({ host, domain, options }) => {
      const { seconds, nanoseconds } = await host.connections.call(
        procedures.domainGetTime,
        { domain, flags: 0 },
        options,
      );
      return new Date(Number(seconds) * 1000 + Math.floor(nanoseconds / 1e6));
    });
  }

  /** Sets the clock of the guest. */
  setTime(ref: GuestRef, hostName: string, time: Date, signal: AbortSignal): Promise<void> {
    return this.#talk(ref, hostName, { signal }, async ({ host, domain, options }) => {
      const seconds = Math.floor(time.getTime() / 1000);
      const nanoseconds = (time.getTime() % 1000) * 1e6;
      await host.connections.call(
        procedures.domainSetTime,
        { domain, seconds, nanoseconds, flags: 0 },
        options,
      );
    });
  }

  /** Sets the password of a user of the guest. It is in no error and no log. */
  setPassword(
    ref: GuestRef,
    hostName: string,
    { user, password }: { readonly user: string; readonly password: string },
    signal: AbortSignal,
  ): Promise<void> {
    return this.#talk(ref, hostName, { signal }, async ({ host, domain, options }) => {
      await host.connections.call(
        procedures.domainSetUserPassword,
        { domain, user, password, flags: 0 },
        options,
      );
    });
  }

  /** The keys with which a user of the guest may log in over ssh. */
  authorizedKeys(
    ref: GuestRef,
    hostName: string,
    user: string,
    signal: AbortSignal,
  ): Promise<readonly string[]> {
    return this.#talk(ref, hostName, { signal }, async ({ host, domain, options }) => {
      const { keys } = await host.connections.call(
        procedures.domainAuthorizedSshKeysGet,
        { domain, user, flags: 0 },
        options,
      );
      return keys;
    });
  }

  /** Sets the keys with which a user of the guest may log in over ssh, in place of those that are there. */
  setAuthorizedKeys(
    ref: GuestRef,
    hostName: string,
    { user, keys }: { readonly user: string; readonly keys: readonly string[] },
    signal: AbortSignal,
  ): Promise<void> {
    return this.#talk(ref, hostName, { signal }, async ({ host, domain, options }) => {
      await host.connections.call(
        procedures.domainAuthorizedSshKeysSet,
        { domain, user, keys, flags: 0 },
        options,
      );
    });
  }

  /** Speaks with the agent of a guest, one at a time, and never waits without end. */
  async #talk<T>(
    ref: GuestRef,
    hostName: string,
    {
      signal,
      patienceSeconds = PATIENCE_SECONDS,
    }: { readonly signal: AbortSignal; readonly patienceSeconds?: number },
    speak: (conversation: Conversation) => Promise<T>,
  ): Promise<T> {
    const host = this.#hosts.get(hostName);
    return host.agentMutex.run(ref.uid, () =>
      translated(hostName, async () => {
        const guest = await findRunning(host, ref, signal);
        if (!guest?.description.agentConnected) throw noAgent(ref);
        const { handle: domain } = guest;
        const deadlineMs = (patienceSeconds + MARGIN_SECONDS) * 1000;
        const options = { signal, deadlineMs };
        try {
          await host.connections.call(
            procedures.domainAgentSetResponseTimeout,
            { domain, timeout: patienceSeconds, flags: 0 },
            options,
          );
          return await speak({ host, domain, options });
        } catch (error) {
          if (!isAgentUnavailableError(error) && !isRpcError(error, "RPC_DEADLINE_EXCEEDED")) {
            throw error;
          }
          throw noAgent(ref, error);
        }
      }),
    );
  }
}

function noAgent({ uid }: GuestRef, cause?: unknown): PolyvisorError {
  const message = `no agent answers in guest ${uid}: install and start qemu-guest-agent in it`;
  return new PolyvisorError("POLYVISOR_UNAVAILABLE", message, { cause });
}
