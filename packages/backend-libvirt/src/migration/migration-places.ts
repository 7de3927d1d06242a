import type { HostDomain, LibvirtHost } from "../host/libvirt-host.ts";

/** Numbers of libvirt: `VIR_DOMAIN_PAUSED`, and reasons of it (`virDomainPausedReason`). */
const PAUSED = 3;
const PAUSED_FOR_MIGRATION = 2;
const PAUSED_STARTING_UP = 11;
/** Numbers of libvirt: `VIR_DOMAIN_SHUTOFF`, and `VIR_DOMAIN_SHUTOFF_MIGRATED`. */
const SHUT_OFF = 5;
const SHUT_OFF_MIGRATED = 3 + 1;

/** A state of libvirt, `virDomainState` and the reason for it. */
export interface DomainPower {
  readonly state: number;
  readonly reason: number;
}

/**
 * True for the domain that is not the guest, while there are two of it: the one at the target until the switch, and the
 * one at the source after it.
 */
export function isInTransit(
  { state, reason }: DomainPower,
  migration: { readonly target: string } | undefined,
  host: string,
): boolean {
  if (state === SHUT_OFF && reason === SHUT_OFF_MIGRATED) return true;
  if (migration?.target !== host || state !== PAUSED) return false;
  return reason === PAUSED_FOR_MIGRATION || reason === PAUSED_STARTING_UP;
}

/** True when a guest is held because it is being migrated. */
export function isHeldForMigration({ state, reason }: DomainPower): boolean {
  return state === PAUSED && reason === PAUSED_FOR_MIGRATION;
}

/** What a host has of a guest; `unknown` when it does not answer. */
export async function presenceOn(
  host: LibvirtHost,
  uid: string,
  signal: AbortSignal,
): Promise<HostDomain | "absent" | "unknown"> {
  try {
    return (await host.domain(uid, signal)) ?? "absent";
  } catch {
    signal.throwIfAborted();
    return "unknown";
  }
}
