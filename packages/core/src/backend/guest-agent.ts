import type { GuestRef } from "./guest-spec.ts";

/** What a guest's agent says of itself and of the operating system. */
export interface GuestAgentInfo {
  readonly version: string;
  /** False when the agent is too old or too new for the hypervisor. */
  readonly supported: boolean;
  readonly osName?: string;
  readonly osVersion?: string;
  readonly kernelRelease?: string;
  readonly hostName?: string;
  /** Of all interfaces, without loopback. */
  readonly addresses: readonly string[];
}

/** Talks to the agent inside guests. Whether it answers is in the guest's state. */
export interface GuestAgent {
  /** @throws `POLYVISOR_UNAVAILABLE` when no agent answers in time. */
  info(ref: GuestRef, host: string, signal: AbortSignal): Promise<GuestAgentInfo>;

  /**
   * Brings the guest's file systems to rest. Does nothing when they are. The hypervisor lets them go by itself after
   * `timeoutSeconds`, should nobody do so.
   *
   * @throws `POLYVISOR_UNAVAILABLE` when no agent answers in time, `POLYVISOR_REFUSED` when it cannot.
   */
  freeze(
    ref: GuestRef,
    host: string,
    options: { readonly timeoutSeconds: number; readonly signal: AbortSignal },
  ): Promise<void>;

  /** Lets the guest's file systems go on. Does nothing when they do. */
  thaw(ref: GuestRef, host: string, signal: AbortSignal): Promise<void>;
}
